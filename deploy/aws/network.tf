# Nothing comes in: the agent accepts no connection, and there is no rule that would let one through. Out goes only what is named here.
# AWS does not filter the VPC's own name server, time service and instance metadata by security groups, so none of them needs a rule.

resource "aws_security_group" "agent" {
  name_prefix            = "${local.role_name}-"
  description            = "reeve of ${var.cluster}: nothing in, the control plane and AWS's own API out"
  vpc_id                 = var.vpc_id
  revoke_rules_on_delete = true
  tags                   = local.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "control_plane" {
  for_each = {
    for pair in setproduct(var.control_plane.cidrs, var.control_plane.ports) : "${pair[0]}:${pair[1]}" => { cidr = pair[0], port = pair[1] }
  }

  security_group_id = aws_security_group.agent.id
  description       = "The vendor's control plane"
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_ipv4         = strcontains(each.value.cidr, ":") ? null : each.value.cidr
  cidr_ipv6         = strcontains(each.value.cidr, ":") ? each.value.cidr : null
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "endpoint" {
  for_each = toset(var.endpoint_security_group_ids)

  security_group_id            = aws_security_group.agent.id
  description                  = "AWS by an interface endpoint"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = each.value
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "prefix_list" {
  for_each = toset(var.prefix_list_ids)

  security_group_id = aws_security_group.agent.id
  description       = "AWS by a prefix list"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  prefix_list_id    = each.value
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "aws" {
  for_each = toset(var.aws_cidrs)

  security_group_id = aws_security_group.agent.id
  description       = "AWS by its public endpoints"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = strcontains(each.value, ":") ? null : each.value
  cidr_ipv6         = strcontains(each.value, ":") ? each.value : null
  tags              = local.tags
}
