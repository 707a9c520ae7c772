package failure

// The codes that this service answers.
const (
	AccessDenied              = "AccessDenied"
	AuthorizationHeader       = "AuthorizationHeaderMalformed"
	AuthorizationQuery        = "AuthorizationQueryParametersError"
	BadDigest                 = "BadDigest"
	BucketAlreadyOwnedByYou   = "BucketAlreadyOwnedByYou"
	BucketNotEmpty            = "BucketNotEmpty"
	EntityTooLarge            = "EntityTooLarge"
	EntityTooSmall            = "EntityTooSmall"
	IncompleteBody            = "IncompleteBody"
	IncorrectNumberOfFiles    = "IncorrectNumberOfFilesInPostRequest"
	InternalError             = "InternalError"
	InvalidAccessKeyID        = "InvalidAccessKeyId"
	InvalidArgument           = "InvalidArgument"
	InvalidBucketName         = "InvalidBucketName"
	InvalidChunkSize          = "InvalidChunkSizeError"
	InvalidDigest             = "InvalidDigest"
	InvalidLocationConstraint = "InvalidLocationConstraint"
	InvalidPart               = "InvalidPart"
	InvalidPartNumber         = "InvalidPartNumber"
	InvalidPartOrder          = "InvalidPartOrder"
	InvalidPolicyDocument     = "InvalidPolicyDocument"
	InvalidRange              = "InvalidRange"
	InvalidRequest            = "InvalidRequest"
	InvalidStorageClass       = "InvalidStorageClass"
	InvalidToken              = "InvalidToken"
	InvalidURI                = "InvalidURI"
	KeyTooLong                = "KeyTooLongError"
	MalformedACL              = "MalformedACLError"
	MalformedPOSTRequest      = "MalformedPOSTRequest"
	MalformedTrailer          = "MalformedTrailerError"
	MalformedXML              = "MalformedXML"
	MaxPostPreDataLength      = "MaxPostPreDataLengthExceededError"
	MetadataTooLarge          = "MetadataTooLarge"
	MethodNotAllowed          = "MethodNotAllowed"
	MissingContentLength      = "MissingContentLength"
	MissingRequestBody        = "MissingRequestBodyError"
	MissingSecurityHeader     = "MissingSecurityHeader"
	NoLoggingStatusForKey     = "NoLoggingStatusForKey"
	NoSuchBucket              = "NoSuchBucket"
	NoSuchKey                 = "NoSuchKey"
	NoSuchUpload              = "NoSuchUpload"
	NoSuchVersion             = "NoSuchVersion"
	NotImplemented            = "NotImplemented"
	ObjectLockNotFound        = "ObjectLockConfigurationNotFoundError"
	PreconditionFailed        = "PreconditionFailed"
	RequestTimeTooSkewed      = "RequestTimeTooSkewed"
	ServiceUnavailable        = "ServiceUnavailable"
	SlowDown                  = "SlowDown"
	SHA256Mismatch            = "XAmzContentSHA256Mismatch"
	SignatureDoesNotMatch     = "SignatureDoesNotMatch"
	UnexpectedContent         = "UnexpectedContent"
	UserKeyMustBeSpecified    = "UserKeyMustBeSpecified"
)

// known gives each code its status and its usual text.
var known = map[string]struct {
	status  int
	message string
}{
	AccessDenied:              {403, "Access Denied."},
	AuthorizationHeader:       {400, "The authorization header is malformed; the authorization header requires three components: Credential, SignedHeaders, and Signature."},
	AuthorizationQuery:        {400, "The query parameters of the signature are not valid."},
	BadDigest:                 {400, "The Content-MD5 you specified did not match what we received."},
	BucketAlreadyOwnedByYou:   {409, "Your previous request to create the named bucket succeeded and you already own it."},
	BucketNotEmpty:            {409, "The bucket you tried to delete is not empty"},
	EntityTooLarge:            {400, "Your proposed upload exceeds the maximum allowed object size."},
	EntityTooSmall:            {400, "Your proposed upload is smaller than the minimum allowed object size."},
	IncompleteBody:            {400, "You did not provide the number of bytes specified by the Content-Length HTTP header"},
	IncorrectNumberOfFiles:    {400, "POST requires exactly one file upload per request."},
	InternalError:             {500, "We encountered an internal error. Please try again."},
	InvalidAccessKeyID:        {403, "The AWS Access Key Id you provided does not exist in our records."},
	InvalidArgument:           {400, "Invalid Argument."},
	InvalidBucketName:         {400, "The specified bucket is not valid."},
	InvalidChunkSize:          {403, "Only the last chunk is allowed to have a size less than 8192 bytes"},
	InvalidDigest:             {400, "The Content-MD5 you specified was invalid."},
	InvalidLocationConstraint: {400, "The specified location constraint is not valid."},
	InvalidPart:               {400, "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."},
	InvalidPartNumber:         {416, "The requested partnumber is not satisfiable"},
	InvalidPartOrder:          {400, "The list of parts was not in ascending order.Parts list must specified in order by part number."},
	InvalidPolicyDocument:     {400, "The content of the form does not meet the conditions specified in the policy document."},
	InvalidRange:              {416, "The requested range cannot be satisfied."},
	InvalidRequest:            {400, "Invalid Request."},
	InvalidStorageClass:       {400, "The storage class you specified is not valid."},
	InvalidToken:              {400, "The provided token is malformed or otherwise invalid."},
	InvalidURI:                {400, "Couldn't parse the specified URI."},
	KeyTooLong:                {400, "Your key is too long."},
	MalformedACL:              {400, "The XML you provided was not well-formed or did not validate against our published schema."},
	MalformedPOSTRequest:      {400, "The body of your POST request is not well-formed multipart/form-data."},
	MalformedTrailer:          {400, "The request contained trailing data that was not well-formed or did not conform to our published schema."},
	MalformedXML:              {400, "The XML you provided was not well-formed or did not validate against our published schema"},
	MaxPostPreDataLength:      {400, "Your POST request fields preceding the upload file were too large."},
	MetadataTooLarge:          {400, "Your metadata headers exceed the maximum allowed metadata size."},
	MethodNotAllowed:          {405, "The specified method is not allowed against this resource."},
	MissingContentLength:      {411, "You must provide the Content-Length HTTP header."},
	MissingRequestBody:        {400, "Request body is empty."},
	MissingSecurityHeader:     {400, "Your request was missing a required header."},
	NoLoggingStatusForKey:     {400, "There is no such thing as a logging status sub-resource for a key."},
	NoSuchBucket:              {404, "The specified bucket does not exist."},
	NoSuchKey:                 {404, "The specified key does not exist."},
	NoSuchUpload:              {404, "The specified multipart upload does not exist. The upload ID might be invalid, or the multipart upload might have been aborted or completed."},
	NoSuchVersion:             {404, "The specified version does not exist."},
	NotImplemented:            {501, "Not implemented."},
	ObjectLockNotFound:        {404, "Object Lock configuration does not exist for this bucket"},
	PreconditionFailed:        {412, "At least one of the preconditions you specified did not hold."},
	RequestTimeTooSkewed:      {403, "The difference between the request time and the current time is too large."},
	ServiceUnavailable:        {503, "Please reduce your request rate."},
	SlowDown:                  {503, "Please reduce your request rate."},
	SHA256Mismatch:            {400, "The provided 'x-amz-content-sha256' header does not match what was computed."},
	SignatureDoesNotMatch:     {403, "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
	UnexpectedContent:         {400, "This request does not support content."},
	UserKeyMustBeSpecified:    {400, "The bucket POST must contain the specified field name. If it is specified, please check the order of the fields."},
}
