variable "cluster" {
  description = "The cluster's name, as in the policy and in reeve.yaml."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.cluster))
    error_message = "cluster is a name of lower-case letters, digits and hyphens, at most 63."
  }
}

variable "role_name" {
  description = "Name of the role that the agent's machine gets, and nothing else. Null: reeve-CLUSTER, shortened to what IAM takes."
  type        = string
  default     = null

  validation {
    condition     = var.role_name == null || can(regex("^[A-Za-z0-9_+=,.@-]{1,64}$", var.role_name))
    error_message = "role_name is a role's name without a path, at most 64 characters."
  }
}

# What the agent may do --------------------------------------------------------------------------------------------------------------

variable "policy_json" {
  description = "The least permissions of the owner's policy: `reeve policy permissions policy.yaml --format iam`."
  type        = string

  validation {
    condition     = can(jsondecode(var.policy_json).Statement[0].Effect)
    error_message = "policy_json is an IAM policy document in JSON with a list of statements."
  }

  validation {
    condition = alltrue([
      for statement in try(jsondecode(var.policy_json).Statement, []) :
      alltrue([for action in flatten([try(statement.Action, [])]) : !can(regex("[*?]", action))])
      && !can(statement.NotAction) && !can(statement.NotResource) && !can(statement.Principal)
      if try(statement.Effect, "Allow") != "Deny"
    ])
    error_message = "policy_json grants by a wildcard action, by NotAction, NotResource or Principal. What reeve renders has none of them."
  }

  validation {
    condition = alltrue([
      for statement in try(jsondecode(var.policy_json).Statement, []) :
      alltrue([for action in flatten([try(statement.Action, [])]) : !can(regex("(?i)^(iam|organizations|account):|^sts:Assume|^ec2:Run", action))])
      if try(statement.Effect, "Allow") != "Deny"
    ])
    error_message = "policy_json grants an action with which the agent could raise its own permissions (iam, organizations, account, sts:Assume…, ec2:Run…)."
  }
}

variable "boundary_json" {
  description = "The ceiling over the role, whatever is attached to it later: `reeve policy permissions policy.yaml --boundary`."
  type        = string

  validation {
    condition     = can(jsondecode(var.boundary_json).Statement[0].Effect)
    error_message = "boundary_json is an IAM policy document in JSON with a list of statements."
  }

  validation {
    condition = alltrue([
      for statement in try(jsondecode(var.boundary_json).Statement, []) :
      alltrue([for action in flatten([try(statement.Action, [])]) : !can(regex("[*?]", action))]) && !can(statement.NotAction)
      if try(statement.Effect, "Allow") != "Deny"
    ])
    error_message = "boundary_json allows by a wildcard action or by NotAction: it is no ceiling then."
  }
}

# Where it runs ----------------------------------------------------------------------------------------------------------------------

variable "vpc_id" {
  description = "The VPC of the subnets."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-f]{8,17}$", var.vpc_id))
    error_message = "vpc_id is of the form vpc-…."
  }
}

variable "subnet_ids" {
  description = "Private subnets. The one machine is put into one of them."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0 && alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]{8,17}$", id))])
    error_message = "subnet_ids names at least one subnet, each of the form subnet-…."
  }
}

variable "image_id" {
  description = "The machine image. It must bring systemd, and cloud-init or another reader of user data."
  type        = string

  validation {
    condition     = can(regex("^ami-[0-9a-f]{8,17}$", var.image_id))
    error_message = "image_id is of the form ami-…."
  }
}

variable "instance_type" {
  description = "The machine's type, of the image's architecture."
  type        = string
  default     = "t4g.small"

  validation {
    condition     = can(regex("^[a-z0-9-]+\\.[a-z0-9-]+$", var.instance_type))
    error_message = "instance_type is of the form t4g.small."
  }
}

variable "root_device" {
  description = "The image's root device, so that it is encrypted whatever the image says."
  type        = string
  default     = "/dev/xvda"

  validation {
    condition     = can(regex("^/dev/[a-z0-9]+$", var.root_device))
    error_message = "root_device is of the form /dev/xvda."
  }
}

variable "user_data" {
  description = "What the machine does when it first boots: installs reeve, mounts the log's volume, writes reeve.yaml, starts the unit. It may hold a join token, which is good once and for a day at most."
  type        = string
  sensitive   = true

  validation {
    condition     = length(var.user_data) > 0 && length(base64encode(var.user_data)) <= 16384 * 4 / 3
    error_message = "user_data is neither empty nor over 16 KiB."
  }
}

variable "log_volume" {
  description = "The volume for /var/lib/reeve. keep: it outlives the machine, so that the log of a replaced machine can still be read."
  type = object({
    device = optional(string, "/dev/sdf")
    gib    = optional(number, 20)
    keep   = optional(bool, true)
  })
  default = {}

  validation {
    condition     = can(regex("^/dev/sd[f-p]$", var.log_volume.device))
    error_message = "log_volume.device is /dev/sdf to /dev/sdp, which AWS recommends for EBS volumes."
  }

  validation {
    condition     = var.log_volume.gib >= 4 && var.log_volume.gib <= 1024 && floor(var.log_volume.gib) == var.log_volume.gib
    error_message = "log_volume.gib is a whole number from 4 to 1024."
  }
}

variable "kms_key_arn" {
  description = "The key that both volumes are encrypted with. Null: the account's own key for EBS."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9a-zA-Z-]+$", var.kms_key_arn))
    error_message = "kms_key_arn is the ARN of a key, not of an alias."
  }
}

# Whom it may reach ------------------------------------------------------------------------------------------------------------------

variable "control_plane" {
  description = "Where the vendor's control plane is: its addresses, and the ports of its two listeners."
  type = object({
    cidrs = list(string)
    ports = list(number)
  })

  validation {
    condition     = length(var.control_plane.cidrs) > 0 && alltrue([for cidr in var.control_plane.cidrs : can(cidrhost(cidr, 0)) && !can(regex("/[0-7]$", cidr))])
    error_message = "control_plane.cidrs names at least one range, none of them wider than /8: not 0.0.0.0/0."
  }

  validation {
    condition     = length(var.control_plane.ports) > 0 && alltrue([for port in var.control_plane.ports : port >= 1 && port <= 65535 && floor(port) == port])
    error_message = "control_plane.ports names at least one port."
  }
}

variable "endpoint_security_group_ids" {
  description = "Security groups of the interface endpoints that AWS is reached by (autoscaling, acm-pca, sts, and where AWS has one, route53)."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.endpoint_security_group_ids : can(regex("^sg-[0-9a-f]{8,17}$", id))])
    error_message = "endpoint_security_group_ids are of the form sg-…."
  }
}

variable "prefix_list_ids" {
  description = "Prefix lists that AWS is reached by, your own or those of gateway endpoints."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.prefix_list_ids : can(regex("^pl-[0-9a-f]{8,17}$", id))])
    error_message = "prefix_list_ids are of the form pl-…."
  }
}

variable "aws_cidrs" {
  description = "Ranges that AWS's public endpoints are reached in, where there is no private one. AWS publishes them as ip-ranges.json."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.aws_cidrs : can(cidrhost(cidr, 0)) && !can(regex("/[0-7]$", cidr))])
    error_message = "aws_cidrs are ranges, none of them wider than /8: not 0.0.0.0/0."
  }

  validation {
    condition     = length(var.aws_cidrs) + length(var.prefix_list_ids) + length(var.endpoint_security_group_ids) > 0
    error_message = "The agent can reach nothing of AWS: name endpoint_security_group_ids, prefix_list_ids or aws_cidrs."
  }
}

variable "tags" {
  description = "Tags of everything that is made here."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key in keys(var.tags) : can(regex("^[A-Za-z0-9+=.,_:@-]{1,128}$", key)) && !startswith(key, "aws:")])
    error_message = "tags are also shown by the instance metadata, which takes no space and no slash in a tag's name."
  }
}
