"""Goes from one cloud to another with keystoneauth's own plugin Keystone2Keystone."""
import sys

from keystoneauth1 import session
from keystoneauth1.identity import v3
from keystoneauth1 import plugin

cloud = sys.argv[1]


class Home(plugin.BaseAuthPlugin):
    """Is signed in at the first cloud."""

    def get_token(self, session, **kwargs):
        return "home"

    def get_endpoint(self, session, **kwargs):
        return cloud + "/home/v3"

    def get_sp_auth_url(self, session, sp_id, **kwargs):
        return cloud + "/v3/OS-FEDERATION/identity_providers/corp/protocols/saml2/auth"

    def get_sp_url(self, session, sp_id, **kwargs):
        return cloud + "/acs"


access = v3.Keystone2Keystone(Home(), "other").get_unscoped_auth_ref(session.Session())
print(access.auth_token, access.username)
