"""The owner's hands on a bucket: boto3, as a console or a script of theirs would. Reads calls as JSON lines, answers each with one line."""
import json
import sys

import boto3
import botocore.exceptions
from botocore.config import Config

endpoint, region, key, secret = sys.argv[1:5]
config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})
made = dict(endpoint_url=endpoint, region_name=region, aws_access_key_id=key, aws_secret_access_key=secret)
clients = {name: boto3.client(name, config=config, **made) for name in ("s3", "iam", "sts")}

for line in sys.stdin:
    service, operation, arguments = json.loads(line)
    if "Body" in arguments:
        arguments["Body"] = arguments["Body"].encode()
    try:
        answer = getattr(clients[service], operation)(**arguments)
        if "Body" in answer:
            answer["Body"] = answer["Body"].read().decode()
        print(json.dumps({"answer": answer}, default=str), flush=True)
    except botocore.exceptions.ClientError as error:
        print(json.dumps({"refused": error.response["Error"]["Code"]}), flush=True)
