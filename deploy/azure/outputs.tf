output "principal_id" {
  description = "For `azure.principal` in reeve.yaml, and `reeve audit reconcile --principal`."
  value       = azurerm_user_assigned_identity.agent.principal_id
}

output "client_id" {
  description = "For `azure.identity: { client: … }` in reeve.yaml."
  value       = azurerm_user_assigned_identity.agent.client_id
}

output "scale_set_name" {
  description = "The scale set that the agent runs in, which it never scales."
  value       = azurerm_linux_virtual_machine_scale_set.agent.name
}

output "log_disk_lun" {
  description = "What custom data formats and mounts on /var/lib/reeve: /dev/disk/azure/scsi1/lun0."
  value       = 0
}

output "admit" {
  description = "Whom the vendor admits by what Azure says of a machine: `reeve-control admit CLUSTER --azure`."
  # /subscriptions/ID/resourceGroups/…
  value = "${split("/", azurerm_user_assigned_identity.agent.id)[2]}/${azurerm_user_assigned_identity.agent.principal_id}"
}
