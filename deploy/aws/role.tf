# The agent's role. One machine has it, through one instance profile; nobody else may assume it. Whoever may pass it (iam:PassRole) to
# another machine, or change it, holds what it holds: that is for the account's own IAM to keep.

locals {
  role_name = coalesce(var.role_name, substr("reeve-${var.cluster}", 0, 64))
  tags      = merge(var.tags, { "reeve:cluster" = var.cluster })
}

data "aws_iam_policy_document" "machines_only" {
  statement {
    sid     = "MachinesOnly"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.${data.aws_partition.current.dns_suffix}"]
    }
  }
}

resource "aws_iam_policy" "boundary" {
  name        = "${local.role_name}-boundary"
  description = "The most that ${local.role_name} can ever do, whatever is attached to it."
  policy      = var.boundary_json
  tags        = local.tags
}

resource "aws_iam_role" "agent" {
  name                 = local.role_name
  description          = "reeve of ${var.cluster}: acts for the vendor as the owner's policy permits."
  assume_role_policy   = data.aws_iam_policy_document.machines_only.json
  permissions_boundary = aws_iam_policy.boundary.arn
  max_session_duration = 3600
  tags                 = local.tags
}

resource "aws_iam_role_policy" "agent" {
  name   = "what-the-policy-permits"
  role   = aws_iam_role.agent.id
  policy = var.policy_json
}

# Takes away what anybody attaches beside it, at the next apply.
resource "aws_iam_role_policies_exclusive" "agent" {
  role_name    = aws_iam_role.agent.name
  policy_names = [aws_iam_role_policy.agent.name]
}

resource "aws_iam_role_policy_attachments_exclusive" "agent" {
  role_name   = aws_iam_role.agent.name
  policy_arns = []
}

resource "aws_iam_instance_profile" "agent" {
  name = local.role_name
  role = aws_iam_role.agent.name
  tags = local.tags
}
