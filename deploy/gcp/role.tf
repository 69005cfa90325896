# The agent's service account. One machine runs as it; it has no key. Whoever may act as it (iam.serviceAccounts.actAs, getAccessToken) holds what it
# holds: that is for the project's own IAM to keep.

locals {
  name        = substr("reeve-${var.cluster}", 0, 30)
  permissions = jsondecode(var.permissions_json)
  roles       = { for role in local.permissions.roles : role.name => role }
  bindings    = { for binding in local.permissions.bindings : "${binding.role} ${binding.resource}" => binding }
  member      = "serviceAccount:${google_service_account.agent.email}"
}

resource "google_service_account" "agent" {
  project      = var.project
  account_id   = trimsuffix(local.name, "-")
  display_name = "reeve of ${var.cluster}"
  description  = "Acts for the vendor as the owner's policy permits."
}

resource "google_project_iam_custom_role" "agent" {
  for_each = local.roles

  project     = var.project
  role_id     = element(split("/", each.key), 3)
  title       = each.value.title
  permissions = each.value.includedPermissions
}

# Managed instance groups have no policy of their own, and conditions do not know their names: this one holds for the project.
resource "google_project_iam_member" "agent" {
  for_each = { for key, binding in local.bindings : key => binding if can(regex("^projects/[^/]+$", binding.resource)) }

  project = var.project
  role    = google_project_iam_custom_role.agent[each.value.role].id
  member  = local.member
}

resource "google_privateca_ca_pool_iam_member" "agent" {
  for_each = { for key, binding in local.bindings : key => binding if can(regex("/caPools/[^/]+$", binding.resource)) }

  ca_pool = each.value.resource
  role    = google_project_iam_custom_role.agent[each.value.role].id
  member  = local.member
}

resource "google_dns_managed_zone_iam_member" "agent" {
  for_each = { for key, binding in local.bindings : key => binding if can(regex("/managedZones/[^/]+$", binding.resource)) }

  project      = var.project
  managed_zone = element(split("/", each.value.resource), 3)
  role         = google_project_iam_custom_role.agent[each.value.role].id
  member       = local.member
}

resource "google_storage_bucket_iam_member" "agent" {
  for_each = { for key, binding in local.bindings : key => binding if startswith(binding.resource, "gs://") }

  bucket = trimprefix(each.value.resource, "gs://")
  role   = google_project_iam_custom_role.agent[each.value.role].id
  member = local.member

  condition {
    title      = each.value.condition.title
    expression = each.value.condition.expression
  }
}
