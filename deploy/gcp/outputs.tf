output "service_account" {
  description = "For `reeve audit reconcile --service-account`."
  value       = google_service_account.agent.email
}

output "group" {
  description = "The group that the agent runs in. Replacing its machine is a rolling replace of this group."
  value       = google_compute_instance_group_manager.agent.self_link
}

output "log_device" {
  description = "What user data formats and mounts on /var/lib/reeve."
  value       = "/dev/disk/by-id/google-reeve-log"
}

output "reeve_gcp" {
  description = "The `gcp` part of reeve.yaml."
  value       = <<-EOT
    provider: gcp
    gcp: { project: ${var.project}, account: ${google_service_account.agent.email}, region: ${replace(var.zone, "/-[a-z]$/", "")} }
  EOT
}

output "admit" {
  description = "Whom the vendor admits by what Google says of a machine: `reeve-control admit CLUSTER --gcp`."
  value       = "${var.project}/${google_service_account.agent.email}"
}
