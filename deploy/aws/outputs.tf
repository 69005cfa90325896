output "role_arn" {
  description = "For `reeve audit reconcile --role`."
  value       = aws_iam_role.agent.arn
}

output "group_name" {
  description = "The group that the agent runs in. Replacing its machine is an instance refresh of this group."
  value       = aws_autoscaling_group.agent.name
}

output "security_group_id" {
  description = "The agent's security group: what an interface endpoint must let in on port 443."
  value       = aws_security_group.agent.id
}

output "launch_template_id" {
  value = aws_launch_template.agent.id
}

output "boundary_arn" {
  value = aws_iam_policy.boundary.arn
}

output "log_device" {
  description = "What user data formats and mounts on /var/lib/reeve. On Nitro machines it appears as an NVMe device whose controller names it."
  value       = var.log_volume.device
}

output "reeve_aws" {
  description = "The `aws` part of reeve.yaml."
  value       = <<-EOT
    provider: aws
    aws: { account: "${data.aws_caller_identity.current.account_id}", role: "${local.role_name}", region: ${data.aws_region.current.id}, partition: ${data.aws_partition.current.partition} }
  EOT
}

output "admit" {
  description = "Whom the vendor admits by what AWS says of a machine: `reeve-control admit CLUSTER --aws`."
  value       = "${data.aws_caller_identity.current.account_id}/${local.role_name}"
}
