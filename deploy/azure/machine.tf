# One machine: a scale set of 1, whose machine is ended before a new one is started, whatever the reason.

resource "azurerm_linux_virtual_machine_scale_set" "agent" {
  name                = local.name
  location            = var.location
  resource_group_name = var.resource_group_name
  tags                = local.tags
  sku                 = var.machine_size
  instances           = 1
  # Overprovisioning would start two.
  overprovision          = false
  single_placement_group = true
  upgrade_mode           = "Manual"
  custom_data            = base64encode(var.custom_data)
  source_image_id        = var.image_id

  # Nobody logs in: a key is what Azure asks for where there is no password, and nobody need have its private half.
  admin_username                  = "nobody-logs-in"
  disable_password_authentication = true
  admin_ssh_key {
    username   = "nobody-logs-in"
    public_key = var.ssh_public_key
  }

  # No extension runs programs on it.
  extension_operations_enabled = false
  provision_vm_agent           = false
  encryption_at_host_enabled   = true
  secure_boot_enabled          = true
  vtpm_enabled                 = true

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.agent.id]
  }

  network_interface {
    name                      = local.name
    primary                   = true
    network_security_group_id = azurerm_network_security_group.agent.id

    # No public address, and no load balancer's pool.
    ip_configuration {
      name      = "inside"
      primary   = true
      subnet_id = var.subnet_id
    }
  }

  os_disk {
    caching                = "ReadOnly"
    storage_account_type   = "StandardSSD_LRS"
    disk_encryption_set_id = var.disk_encryption_set_id
  }

  data_disk {
    lun                    = 0
    caching                = "None"
    create_option          = "Empty"
    disk_size_gb           = var.log_disk_gib
    storage_account_type   = "StandardSSD_LRS"
    disk_encryption_set_id = var.disk_encryption_set_id
  }

  # Without its roles the agent's first look would be refused.
  depends_on = [azurerm_role_assignment.agent]
}
