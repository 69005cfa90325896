# Nothing comes in: the agent accepts no connection, and what is not named here is denied, also what Azure's own rules would let through.
# Azure does not filter its name server and instance metadata by these rules, so neither needs one.

resource "azurerm_network_security_group" "agent" {
  name                = local.name
  location            = var.location
  resource_group_name = var.resource_group_name
  tags                = local.tags
}

resource "azurerm_network_security_rule" "nothing_in" {
  name                        = "nothing-in"
  priority                    = 4096
  direction                   = "Inbound"
  access                      = "Deny"
  protocol                    = "*"
  source_port_range           = "*"
  destination_port_range      = "*"
  source_address_prefix       = "*"
  destination_address_prefix  = "*"
  resource_group_name         = var.resource_group_name
  network_security_group_name = azurerm_network_security_group.agent.name
}

resource "azurerm_network_security_rule" "nothing_else_out" {
  name                        = "nothing-else-out"
  priority                    = 4096
  direction                   = "Outbound"
  access                      = "Deny"
  protocol                    = "*"
  source_port_range           = "*"
  destination_port_range      = "*"
  source_address_prefix       = "*"
  destination_address_prefix  = "*"
  resource_group_name         = var.resource_group_name
  network_security_group_name = azurerm_network_security_group.agent.name
}

resource "azurerm_network_security_rule" "control_plane" {
  name                         = "control-plane"
  priority                     = 100
  direction                    = "Outbound"
  access                       = "Allow"
  protocol                     = "Tcp"
  source_port_range            = "*"
  destination_port_ranges      = [for port in var.control_plane.ports : tostring(port)]
  source_address_prefix        = "*"
  destination_address_prefixes = var.control_plane.cidrs
  resource_group_name          = var.resource_group_name
  network_security_group_name  = azurerm_network_security_group.agent.name
}

resource "azurerm_network_security_rule" "endpoints" {
  count = length(var.endpoint_cidrs) == 0 ? 0 : 1

  name                         = "private-endpoints"
  priority                     = 105
  direction                    = "Outbound"
  access                       = "Allow"
  protocol                     = "Tcp"
  source_port_range            = "*"
  destination_port_range       = "443"
  source_address_prefix        = "*"
  destination_address_prefixes = var.endpoint_cidrs
  resource_group_name          = var.resource_group_name
  network_security_group_name  = azurerm_network_security_group.agent.name
}

# Resource Manager and Key Vault, each by Azure's own name for its addresses.
resource "azurerm_network_security_rule" "azure" {
  for_each = { for at, tag in sort(tolist(var.service_tags)) : tag => 110 + at }

  name                        = "azure-${lower(replace(each.key, ".", "-"))}"
  priority                    = each.value
  direction                   = "Outbound"
  access                      = "Allow"
  protocol                    = "Tcp"
  source_port_range           = "*"
  destination_port_range      = "443"
  source_address_prefix       = "*"
  destination_address_prefix  = each.key
  resource_group_name         = var.resource_group_name
  network_security_group_name = azurerm_network_security_group.agent.name
}
