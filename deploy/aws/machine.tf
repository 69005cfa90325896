# One machine, never two: a group of size 1 that ends the old one before it starts the new one, whatever the reason.

resource "aws_launch_template" "agent" {
  name_prefix                          = "${local.role_name}-"
  description                          = "reeve of ${var.cluster}"
  image_id                             = var.image_id
  instance_type                        = var.instance_type
  user_data                            = base64encode(var.user_data)
  update_default_version               = true
  ebs_optimized                        = true
  instance_initiated_shutdown_behavior = "terminate"
  tags                                 = local.tags

  # No key_name: nobody logs in. What the owner has to say, the owner's folder says.

  iam_instance_profile {
    arn = aws_iam_instance_profile.agent.arn
  }

  # Version 2 only, and one hop: what runs in a container or behind a forwarding process on the machine does not get at the role.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    http_protocol_ipv6          = "disabled"
    # The agent learns from its own tags which group it runs in, to refuse whatever would touch it.
    instance_metadata_tags = "enabled"
  }

  network_interfaces {
    device_index                = 0
    associate_public_ip_address = false
    delete_on_termination       = true
    security_groups             = [aws_security_group.agent.id]
  }

  block_device_mappings {
    device_name = var.root_device

    ebs {
      encrypted             = true
      kms_key_id            = var.kms_key_arn
      volume_type           = "gp3"
      delete_on_termination = true
    }
  }

  block_device_mappings {
    device_name = var.log_volume.device

    ebs {
      encrypted             = true
      kms_key_id            = var.kms_key_arn
      volume_type           = "gp3"
      volume_size           = var.log_volume.gib
      delete_on_termination = !var.log_volume.keep
    }
  }

  monitoring {
    enabled = false
  }

  tag_specifications {
    resource_type = "instance"
    tags          = merge(local.tags, { Name = local.role_name })
  }

  tag_specifications {
    resource_type = "volume"
    tags          = merge(local.tags, { Name = local.role_name })
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_autoscaling_group" "agent" {
  name                      = local.role_name
  min_size                  = 1
  max_size                  = 1
  desired_capacity          = 1
  vpc_zone_identifier       = var.subnet_ids
  health_check_type         = "EC2"
  health_check_grace_period = 300
  # Moving the machine to another zone would start the new one first.
  suspended_processes = ["AZRebalance"]

  launch_template {
    id      = aws_launch_template.agent.id
    version = aws_launch_template.agent.latest_version
  }

  instance_maintenance_policy {
    min_healthy_percentage = 0
    max_healthy_percentage = 100
  }

  instance_refresh {
    strategy = "Rolling"

    preferences {
      min_healthy_percentage = 0
      max_healthy_percentage = 100
    }
  }

  dynamic "tag" {
    for_each = local.tags

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false
    }
  }

  # Without its permissions the agent's first look would be refused.
  depends_on = [aws_iam_role_policy.agent]
}
