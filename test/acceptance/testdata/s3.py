"""A session of boto3: what TestS3Clients runs. It ends with "done"."""
import hashlib
import json
import os
import sys
import urllib.request
import ssl

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, ca = os.environ['AWS_ENDPOINT_URL_S3'], os.environ.get('AWS_CA_BUNDLE')
s3 = boto3.client('s3', endpoint_url=endpoint)
tls = ssl.create_default_context(cafile=ca) if ca else None


def refused(code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except ClientError as e:
        assert e.response['Error']['Code'] == code, (code, e.response)
        return e.response
    raise AssertionError('not refused: %s' % code)


def fetch(url, method='GET', data=None, headers=None):
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    with urllib.request.urlopen(request, context=tls) as answer:
        return answer.read()


# buckets
s3.create_bucket(Bucket='films')
assert [b['Name'] for b in s3.list_buckets()['Buckets']] == ['films']
refused('BucketAlreadyOwnedByYou', s3.create_bucket, Bucket='films')
refused('404', s3.head_bucket, Bucket='nothing')
assert s3.get_bucket_location(Bucket='films')['LocationConstraint'] is None

# 64 MiB in parts, from a file as "aws s3 cp" does
path = os.path.join(os.environ['HOME'], 'big')
block = bytes(range(256)) * 4096
with open(path, 'wb') as f:
    for _ in range(64):
        f.write(block)
mib = 1 << 20
s3.upload_file(path, 'films', 'reels/one.bin', ExtraArgs={'Metadata': {'director': 'Apichatpong'}, 'ContentType': 'video/x-reel'},
               Config=TransferConfig(multipart_threshold=8 * mib, multipart_chunksize=8 * mib, max_concurrency=4))
head = s3.head_object(Bucket='films', Key='reels/one.bin')
assert head['ContentLength'] == 64 * mib and head['ETag'].endswith('-8"'), head
assert head['Metadata'] == {'director': 'Apichatpong'} and head['ContentType'] == 'video/x-reel', head
s3.download_file('films', 'reels/one.bin', path + '.back')
with open(path, 'rb') as a, open(path + '.back', 'rb') as b:
    assert hashlib.file_digest(a, 'sha256').digest() == hashlib.file_digest(b, 'sha256').digest() if hasattr(hashlib, 'file_digest') \
        else hashlib.sha256(a.read()).digest() == hashlib.sha256(b.read()).digest()
part = s3.get_object(Bucket='films', Key='reels/one.bin', PartNumber=3)
assert part['PartsCount'] == 8 and part['ContentLength'] == 8 * mib, part

# listing with a delimiter, ranges, conditions
for key in ('readme', 'reels/two', 'scores/a b', 'scores/é+&'):
    s3.put_object(Bucket='films', Key=key, Body=key.encode())
page = s3.list_objects_v2(Bucket='films', Delimiter='/')
assert [o['Key'] for o in page['Contents']] == ['readme'], page
assert [p['Prefix'] for p in page['CommonPrefixes']] == ['reels/', 'scores/'], page
keys = [o['Key'] for p in s3.get_paginator('list_objects_v2').paginate(Bucket='films', PaginationConfig={'PageSize': 2}) for o in p.get('Contents', [])]
assert keys == ['readme', 'reels/one.bin', 'reels/two', 'scores/a b', 'scores/é+&'], keys
assert s3.get_object(Bucket='films', Key='scores/é+&')['Body'].read() == 'scores/é+&'.encode()
middle = s3.get_object(Bucket='films', Key='reels/one.bin', Range='bytes=%d-%d' % (8 * mib - 2, 8 * mib + 1))
assert middle['Body'].read() == bytes([254, 255, 0, 1]), middle
refused('304', s3.get_object, Bucket='films', Key='readme', IfNoneMatch=s3.head_object(Bucket='films', Key='readme')['ETag'])

# presigned addresses: of version 4, and of version 2
for version in ('s3v4', 's3'):
    signer = boto3.client('s3', endpoint_url=endpoint, config=Config(signature_version=version, s3={'addressing_style': 'path'}))
    name = 'signed-' + version
    fetch(signer.generate_presigned_url('put_object', {'Bucket': 'films', 'Key': name}, ExpiresIn=300), 'PUT', b'by address', {'Content-Type': ''})
    assert fetch(signer.generate_presigned_url('get_object', {'Bucket': 'films', 'Key': name}, ExpiresIn=300)) == b'by address'
    assert signer.get_object(Bucket='films', Key=name)['Body'].read() == b'by address'
    s3.delete_object(Bucket='films', Key=name)
post = s3.generate_presigned_post('films', 'posted', Conditions=[['content-length-range', 1, 100]])
boundary = 'x-boundary'
body = ''.join('--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (boundary, k, v) for k, v in post['fields'].items())
body += '--%s\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nfrom a form\r\n--%s--\r\n' % (boundary, boundary)
fetch(post['url'], 'POST', body.encode(), {'Content-Type': 'multipart/form-data; boundary=' + boundary})
assert s3.get_object(Bucket='films', Key='posted')['Body'].read() == b'from a form'
s3.delete_object(Bucket='films', Key='posted')

# copies
s3.copy_object(Bucket='films', Key='copy', CopySource={'Bucket': 'films', 'Key': 'readme'}, MetadataDirective='REPLACE', Metadata={'a': 'b'})
assert s3.head_object(Bucket='films', Key='copy')['Metadata'] == {'a': 'b'}
s3.copy({'Bucket': 'films', 'Key': 'reels/one.bin'}, 'films', 'reels/copy.bin', Config=TransferConfig(multipart_threshold=8 * mib, multipart_chunksize=16 * mib))
assert s3.head_object(Bucket='films', Key='reels/copy.bin')['ContentLength'] == 64 * mib
refused('NoSuchKey', s3.copy_object, Bucket='films', Key='copy', CopySource={'Bucket': 'films', 'Key': 'none'})

# checksums
done = s3.put_object(Bucket='films', Key='summed', Body=b'hello', ChecksumAlgorithm='SHA256')
assert s3.head_object(Bucket='films', Key='summed', ChecksumMode='ENABLED')['ChecksumSHA256'] == done['ChecksumSHA256']

# and what boto3 does of itself since 1.36: CRC32 in trailers, of parts too
done = s3.put_object(Bucket='films', Key='summed', Body=b'hello', ChecksumAlgorithm='CRC32')
assert done['ChecksumCRC32'] == 'NhCmhg==', done
assert s3.get_object(Bucket='films', Key='summed', ChecksumMode='ENABLED')['ChecksumCRC32'] == 'NhCmhg=='
s3.upload_file(path, 'films', 'summed', ExtraArgs={'ChecksumAlgorithm': 'CRC32'}, Config=TransferConfig(multipart_threshold=8 * mib, multipart_chunksize=16 * mib))
head = s3.head_object(Bucket='films', Key='summed', ChecksumMode='ENABLED')
assert head['ContentLength'] == 64 * mib and head['ChecksumCRC32'].endswith('-4'), head
s3.download_file('films', 'summed', path + '.back', ExtraArgs={'ChecksumMode': 'ENABLED'})

# versions
s3.put_bucket_versioning(Bucket='films', VersioningConfiguration={'Status': 'Enabled'})
first = s3.put_object(Bucket='films', Key='draft', Body=b'one')['VersionId']
second = s3.put_object(Bucket='films', Key='draft', Body=b'two')['VersionId']
assert s3.get_object(Bucket='films', Key='draft', VersionId=first)['Body'].read() == b'one'
marker = s3.delete_object(Bucket='films', Key='draft')
assert marker['DeleteMarker'], marker
refused('NoSuchKey', s3.get_object, Bucket='films', Key='draft')
listed = s3.list_object_versions(Bucket='films', Prefix='draft')
assert [v['VersionId'] for v in listed['Versions']] == [second, first] and len(listed['DeleteMarkers']) == 1, listed
s3.delete_object(Bucket='films', Key='draft', VersionId=marker['VersionId'])
assert s3.get_object(Bucket='films', Key='draft')['Body'].read() == b'two'

# access lists
s3.put_bucket_acl(Bucket='films', ACL='public-read')
assert fetch('%s/films/readme' % endpoint) == b'readme'
assert [g['Permission'] for g in s3.get_bucket_acl(Bucket='films')['Grants']] == ['FULL_CONTROL', 'READ']
s3.put_bucket_acl(Bucket='films', ACL='private')
refused('NotImplemented', s3.get_bucket_lifecycle_configuration, Bucket='films')

# uploads that are given up
upload = s3.create_multipart_upload(Bucket='films', Key='given-up')['UploadId']
s3.upload_part(Bucket='films', Key='given-up', UploadId=upload, PartNumber=1, Body=b'x')
assert [u['Key'] for u in s3.list_multipart_uploads(Bucket='films')['Uploads']] == ['given-up']
assert [p['Size'] for p in s3.list_parts(Bucket='films', Key='given-up', UploadId=upload)['Parts']] == [1]
s3.abort_multipart_upload(Bucket='films', Key='given-up', UploadId=upload)
assert 'Uploads' not in s3.list_multipart_uploads(Bucket='films')

if len(sys.argv) > 1 and sys.argv[1] == 'clean':
    bucket = boto3.resource('s3', endpoint_url=endpoint).Bucket('films')
    bucket.object_versions.delete()
    bucket.delete()
print(json.dumps('done'))
