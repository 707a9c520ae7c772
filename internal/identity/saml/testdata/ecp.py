"""Signs in as "openstack --os-auth-type v3samlpassword" does: with keystoneauth's own plugin."""
import sys

from keystoneauth1 import loading
from keystoneauth1 import session

cloud, idp, user, password = sys.argv[1:]
plugin = loading.get_plugin_loader("v3samlpassword").load_from_options(
    auth_url=cloud + "/v3", identity_provider="corp", protocol="saml2",
    identity_provider_url=idp, username=user, password=password)
access = plugin.get_unscoped_auth_ref(session.Session())
print(access.auth_token, access.username)
