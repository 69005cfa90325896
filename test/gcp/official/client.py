"""Google's own client for Python, by its discovery documents, against the world. Prints a line for each claim; ends with an error for the first that does not hold."""
import json
import sys
import uuid

import google.oauth2.credentials
import google_auth_httplib2
import httplib2
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

ask = json.load(open(sys.argv[1]))


def service(name, version, endpoint, path=""):
    credentials = google.oauth2.credentials.Credentials(ask["token"])
    http = google_auth_httplib2.AuthorizedHttp(credentials, http=httplib2.Http(ca_certs=ask["ca"], timeout=30))
    options = {"api_endpoint": ask[endpoint] + path}
    return build(name, version, http=http, static_discovery=True, client_options=options)


def refused(call, status, reason):
    try:
        call.execute()
    except HttpError as error:
        assert error.resp.status == status, (error.resp.status, status)
        assert reason in str(error), str(error)
        return
    raise AssertionError("nothing was refused")


dns = service("dns", "v1", "dns")
zone = {"project": ask["project"], "managedZone": ask["zone"]}
assert dns.managedZones().get(**zone).execute()["name"] == ask["zone"]
print("dns: a managed zone is read")


def record(value, ttl=60):
    return {"name": ask["name"], "type": "A", "ttl": ttl, "rrdatas": [value]}


def change(**body):
    return dns.changes().create(body=body, **zone)


made = change(additions=[record("10.20.0.1")]).execute()
assert made["status"] == "pending", made
for _ in range(600):
    if dns.changes().get(changeId=made["id"], **zone).execute()["status"] == "done":
        break
else:
    raise AssertionError("never done")
print("dns: a change is pending, and then done")
found = dns.resourceRecordSets().list(name=ask["name"], type="A", **zone).execute()["rrsets"]
assert [(one["ttl"], one["rrdatas"]) for one in found] == [(60, ["10.20.0.1"])], found
print("dns: the record is listed by name and type")
refused(change(additions=[record("10.20.0.2")]), 409, "alreadyExists")
print("dns: an addition of what is there is refused")
refused(change(deletions=[record("10.20.0.9")], additions=[record("10.20.0.2")]), 412, "conditionNotMet")
print("dns: a deletion of what lies there otherwise is refused, and the addition with it")
change(deletions=[record("10.20.0.1")], additions=[record("10.20.0.2")]).execute()
change(deletions=[record("10.20.0.2")]).execute()
refused(change(deletions=[record("10.20.0.2")]), 404, "notFound")
print("dns: a deletion of what is not there is refused")
refused(dns.managedZones().get(project=ask["project"], managedZone="absent"), 404, "notFound")
print("dns: a zone that is not there is not found")
rights = dns.managedZones().testIamPermissions(
    resource="projects/%s/managedZones/%s" % (ask["project"], ask["zone"]), body={"permissions": ["dns.changes.create"]}
)
assert rights.execute()["permissions"] == ["dns.changes.create"]
print("dns: the caller's rights are told")

compute = service("compute", "v1", "compute", "/compute/v1/")
where, name = ask["group"].split("/")
group = {"project": ask["project"], "zone": where, "instanceGroupManager": name}
size = compute.instanceGroupManagers().get(**group).execute()["targetSize"]
request = str(uuid.uuid4())
operations = {compute.instanceGroupManagers().resize(size=size + 1, requestId=request, **group).execute()["name"] for _ in range(2)}
assert len(operations) == 1, operations
print("compute: two resizes with one request id are one operation")

privateca = service("privateca", "v1", "privateca")
pools = privateca.projects().locations().caPools()
assert len(pools.fetchCaCerts(caPool=ask["pool"], body={}).execute()["caCerts"]) == 1
refused(pools.certificates().get(name=ask["pool"] + "/certificates/absent"), 404, "not found")
print("privateca: a pool's chains are read, and a certificate that is not there is not found")

projects = service("cloudresourcemanager", "v3", "cloudresourcemanager").projects()
rights = projects.testIamPermissions(resource="projects/" + ask["project"], body={"permissions": ["a.b.c"]})
assert rights.execute()["permissions"] == ["a.b.c"]
print("cloudresourcemanager: the caller's rights in the project are told")
