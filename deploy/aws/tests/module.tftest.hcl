# `terraform test` in the module's folder: what is planned, with a provider that reaches no account.

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = {
      json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
    }
  }

  mock_data "aws_partition" {
    defaults = {
      partition  = "aws"
      dns_suffix = "amazonaws.com"
    }
  }
}

variables {
  cluster       = "prod-eu-1"
  policy_json   = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"autoscaling:SetDesiredCapacity\"],\"Resource\":[\"arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:*:autoScalingGroupName/prod-eu-1-brokers\"]}]}"
  boundary_json = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"autoscaling:SetDesiredCapacity\"],\"Resource\":[\"*\"]},{\"Effect\":\"Deny\",\"NotAction\":[\"autoscaling:SetDesiredCapacity\"],\"Resource\":[\"*\"]}]}"
  vpc_id        = "vpc-0123456789abcdef0"
  subnet_ids    = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  image_id      = "ami-0123456789abcdef0"
  user_data     = "#cloud-config\n"
  control_plane = { cidrs = ["198.51.100.0/24", "2001:db8::/48"], ports = [8443, 8444] }

  endpoint_security_group_ids = ["sg-0123456789abcdef0"]
}

run "one_machine_with_its_own_role" {
  command = plan

  assert {
    condition     = aws_autoscaling_group.agent.min_size == 1 && aws_autoscaling_group.agent.max_size == 1 && aws_autoscaling_group.agent.desired_capacity == 1
    error_message = "The group is of size 1."
  }

  assert {
    condition     = one(aws_autoscaling_group.agent.instance_maintenance_policy).max_healthy_percentage == 100 && one(aws_autoscaling_group.agent.instance_maintenance_policy).min_healthy_percentage == 0 && contains(aws_autoscaling_group.agent.suspended_processes, "AZRebalance")
    error_message = "Two machines never run at a time: the old one ends first."
  }

  assert {
    condition     = aws_iam_role.agent.name == "reeve-prod-eu-1" && aws_iam_instance_profile.agent.role == "reeve-prod-eu-1"
    error_message = "The profile holds the module's own role."
  }

  assert {
    condition     = aws_iam_role_policy.agent.policy == var.policy_json && aws_iam_policy.boundary.policy == var.boundary_json
    error_message = "The role has what the policy renders, and nothing that the module adds."
  }

  assert {
    condition     = length(aws_iam_role_policy_attachments_exclusive.agent.policy_arns) == 0
    error_message = "No managed policy is attached to the role."
  }
}

run "only_metadata_version_2_and_no_way_in" {
  command = plan

  assert {
    condition     = one(aws_launch_template.agent.metadata_options).http_tokens == "required" && one(aws_launch_template.agent.metadata_options).http_put_response_hop_limit == 1 && one(aws_launch_template.agent.metadata_options).instance_metadata_tags == "enabled"
    error_message = "Version 2 with one hop, and the machine's own tags."
  }

  assert {
    condition     = aws_launch_template.agent.key_name == null
    error_message = "There is no SSH key."
  }

  assert {
    condition     = one(aws_launch_template.agent.network_interfaces).associate_public_ip_address == "false"
    error_message = "There is no public address."
  }

  assert {
    condition     = alltrue([for device in aws_launch_template.agent.block_device_mappings : one(device.ebs).encrypted == "true"])
    error_message = "Every volume is encrypted."
  }

  assert {
    condition     = [for device in aws_launch_template.agent.block_device_mappings : one(device.ebs).delete_on_termination if device.device_name == "/dev/sdf"] == ["false"]
    error_message = "The log's volume outlives the machine."
  }
}

run "out_goes_only_what_is_named" {
  command = plan

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.control_plane) == 4 && length(aws_vpc_security_group_egress_rule.endpoint) == 1 && length(aws_vpc_security_group_egress_rule.prefix_list) == 0 && length(aws_vpc_security_group_egress_rule.aws) == 0
    error_message = "Two ranges with two ports each, and one endpoint."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.control_plane["198.51.100.0/24:8443"].from_port == 8443 && aws_vpc_security_group_egress_rule.control_plane["2001:db8::/48:8444"].cidr_ipv6 == "2001:db8::/48"
    error_message = "Each rule is for one range and one port."
  }
}

run "a_wildcard_action_is_refused" {
  command = plan

  variables {
    policy_json = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"autoscaling:*\",\"Resource\":\"*\"}]}"
  }

  expect_failures = [var.policy_json]
}

run "granting_by_exception_is_refused" {
  command = plan

  variables {
    policy_json = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"NotAction\":[\"iam:CreateUser\"],\"Resource\":\"*\"}]}"
  }

  expect_failures = [var.policy_json]
}

run "raising_its_own_permissions_is_refused" {
  command = plan

  variables {
    policy_json = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"autoscaling:SetDesiredCapacity\",\"IAM:PassRole\"],\"Resource\":\"*\"}]}"
  }

  expect_failures = [var.policy_json]
}

run "a_policy_that_is_no_document_is_refused" {
  command = plan

  variables {
    policy_json = "version: 1"
  }

  expect_failures = [var.policy_json]
}

run "a_boundary_that_allows_everything_is_refused" {
  command = plan

  variables {
    boundary_json = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}"
  }

  expect_failures = [var.boundary_json]
}

run "the_whole_internet_is_refused" {
  command = plan

  variables {
    control_plane = { cidrs = ["0.0.0.0/0"], ports = [8443] }
    aws_cidrs     = ["::/0"]
  }

  expect_failures = [var.control_plane, var.aws_cidrs]
}

run "no_way_to_aws_is_refused" {
  command = plan

  variables {
    endpoint_security_group_ids = []
  }

  expect_failures = [var.aws_cidrs]
}

run "names_and_sizes_of_another_form_are_refused" {
  command = plan

  variables {
    cluster    = "Prod EU"
    vpc_id     = "vpc"
    subnet_ids = []
    image_id   = "latest"
    user_data  = ""
    log_volume = { gib = 2, device = "/dev/xvda" }
    tags       = { "a b" = "c" }
  }

  expect_failures = [var.cluster, var.vpc_id, var.subnet_ids, var.image_id, var.user_data, var.log_volume, var.tags]
}
