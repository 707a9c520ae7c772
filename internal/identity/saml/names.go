package saml

const (
	nsProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsMetadata  = "urn:oasis:names:tc:SAML:2.0:metadata"
	nsECP       = "urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp"
	nsPAOS      = "urn:liberty:paos:2003-08"
	nsSOAP      = "http://schemas.xmlsoap.org/soap/envelope/"
	nsSignature = "http://www.w3.org/2000/09/xmldsig#"
	nsEncrypt   = "http://www.w3.org/2001/04/xmlenc#"
	nsEncrypt11 = "http://www.w3.org/2009/xmlenc11#"
	nsInstance  = "http://www.w3.org/2001/XMLSchema-instance"
	nsSchema    = "http://www.w3.org/2001/XMLSchema"

	bindingRedirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
	bindingPost     = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
	bindingSOAP     = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"
	bindingPAOS     = "urn:oasis:names:tc:SAML:2.0:bindings:PAOS"
	bindingURI      = "urn:oasis:names:tc:SAML:2.0:bindings:URI"

	formatEntity    = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
	formatTransient = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
	statusSuccess   = "urn:oasis:names:tc:SAML:2.0:status:Success"
	methodBearer    = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
	classPassword   = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
	actorNext       = "http://schemas.xmlsoap.org/soap/actor/next"

	algExclusive         = "http://www.w3.org/2001/10/xml-exc-c14n#"
	algExclusiveComments = "http://www.w3.org/2001/10/xml-exc-c14n#WithComments"
	algEnveloped         = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
	algRSASHA256         = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"

	version = "2.0"
)

// PAOSType is the media type of ECPRequest's and VerifyECP's documents;
// keystoneauth compares it letter by letter.
const PAOSType = "application/vnd.paos+xml"
