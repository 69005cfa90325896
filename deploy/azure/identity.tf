# The agent's identity. One scale set has it; nobody else may use it without the right to assign it
# (Microsoft.ManagedIdentity/userAssignedIdentities/assign/action), which is for the subscription's own roles to keep.

locals {
  name = coalesce(var.name, substr("reeve-${var.cluster}", 0, 60))
  tags = merge(var.tags, { "reeve-cluster" = var.cluster })
  # As `reeve policy permissions policy.yaml` prints them.
  roles       = { for role in jsondecode(var.roles_json).roleDefinitions : role.Name => role }
  assignments = { for one in jsondecode(var.roles_json).roleAssignments : "${one.role} ${one.scope}" => one }
}

resource "azurerm_user_assigned_identity" "agent" {
  name                = local.name
  location            = var.location
  resource_group_name = var.resource_group_name
  tags                = local.tags
}

resource "azurerm_role_definition" "agent" {
  for_each = local.roles

  name              = each.value.Name
  description       = each.value.Description
  scope             = each.value.AssignableScopes[0]
  assignable_scopes = each.value.AssignableScopes

  permissions {
    actions      = each.value.Actions
    data_actions = each.value.DataActions
  }
}

resource "azurerm_role_assignment" "agent" {
  for_each = local.assignments

  scope              = each.value.scope
  role_definition_id = azurerm_role_definition.agent[each.value.role].role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.agent.principal_id
  principal_type     = "ServicePrincipal"
}
