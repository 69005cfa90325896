variable "cluster" {
  description = "The cluster's name, as in the policy and in reeve.yaml."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.cluster))
    error_message = "cluster is a name of lower-case letters, digits and hyphens, at most 63."
  }
}

variable "name" {
  description = "Name of everything that is made here. Null: reeve-CLUSTER, shortened to what Azure takes."
  type        = string
  default     = null

  validation {
    condition     = var.name == null || can(regex("^[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?$", var.name))
    error_message = "name is of lower-case letters, digits and hyphens, at most 60."
  }
}

# What the agent may do --------------------------------------------------------------------------------------------------------------

variable "roles_json" {
  description = "The least permissions of the owner's policy: `reeve policy permissions policy.yaml --format azure`."
  type        = string

  validation {
    condition     = can(jsondecode(var.roles_json).roleDefinitions[0].Actions) && can(jsondecode(var.roles_json).roleAssignments[0].scope)
    error_message = "roles_json holds roleDefinitions and roleAssignments, as reeve prints them."
  }

  validation {
    condition = alltrue([
      for role in try(jsondecode(var.roles_json).roleDefinitions, []) :
      alltrue([for action in concat(role.Actions, role.DataActions) : !can(regex("[*]", action))])
    ])
    error_message = "roles_json grants by a wildcard. What reeve renders has none."
  }

  validation {
    condition = alltrue([
      for role in try(jsondecode(var.roles_json).roleDefinitions, []) :
      alltrue([for action in concat(role.Actions, role.DataActions) : !can(regex("(?i)^Microsoft\\.(Authorization|ManagedIdentity|Resources)/|runCommand|/extensions/", action))])
    ])
    error_message = "roles_json grants an action with which the agent could raise its own rights (Authorization, ManagedIdentity, Resources, runCommand, extensions)."
  }

  validation {
    condition = alltrue([
      for one in try(jsondecode(var.roles_json).roleAssignments, []) :
      can(regex("^/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers/", one.scope)) || can(regex("-operations$", one.role))
    ])
    error_message = "roles_json assigns a role wider than one resource. Only the one that reads operations' status lies at the subscription."
  }
}

# Where it runs ----------------------------------------------------------------------------------------------------------------------

variable "resource_group_name" {
  description = "The resource group for the machine. Best another one than that of the scale sets, zones and vaults that the policy is about."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_.()-]{0,89}[A-Za-z0-9_()-]$", var.resource_group_name))
    error_message = "resource_group_name is a resource group's name."
  }
}

variable "location" {
  description = "Azure's location, such as westeurope."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2,32}[0-9]?$", var.location))
    error_message = "location is of the form westeurope."
  }
}

variable "subnet_id" {
  description = "A private subnet, by its resource id."
  type        = string

  validation {
    condition     = can(regex("^/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers/Microsoft.Network/virtualNetworks/[^/]+/subnets/[^/]+$", var.subnet_id))
    error_message = "subnet_id is a subnet's resource id."
  }
}

variable "image_id" {
  description = "The machine image, by its resource id. It must bring systemd, and cloud-init or another reader of custom data."
  type        = string

  validation {
    condition     = can(regex("^/(subscriptions|communityGalleries|sharedGalleries)/.+/images/[^/]+", var.image_id))
    error_message = "image_id is an image's resource id."
  }
}

variable "machine_size" {
  description = "The machine's size, of the image's architecture."
  type        = string
  default     = "Standard_B2pts_v2"

  validation {
    condition     = can(regex("^Standard_[A-Za-z0-9_]+$", var.machine_size))
    error_message = "machine_size is of the form Standard_B2pts_v2."
  }
}

variable "custom_data" {
  description = "What the machine does when it first boots: installs reeve, mounts the log's disk, writes reeve.yaml, starts the unit. It may hold a join token, which is good once and for a day at most."
  type        = string
  sensitive   = true

  validation {
    condition     = length(var.custom_data) > 0 && length(base64encode(var.custom_data)) <= 65536 * 4 / 3
    error_message = "custom_data is neither empty nor over 64 KiB."
  }
}

variable "ssh_public_key" {
  description = "Azure asks for one where there is no password. Make a pair, keep the public half, destroy the other: nothing lets a connection in."
  type        = string

  validation {
    condition     = can(regex("^ssh-(rsa|ed25519) [A-Za-z0-9+/=]+", var.ssh_public_key))
    error_message = "ssh_public_key is an OpenSSH public key."
  }
}

variable "log_disk_gib" {
  description = "Size of the disk for /var/lib/reeve, in GiB. A scale set's disk ends with its machine: keep the log in the control plane, or copy it."
  type        = number
  default     = 32

  validation {
    condition     = var.log_disk_gib >= 4 && var.log_disk_gib <= 1024 && floor(var.log_disk_gib) == var.log_disk_gib
    error_message = "log_disk_gib is a whole number from 4 to 1024."
  }
}

variable "disk_encryption_set_id" {
  description = "The disk encryption set with your key. Null: Azure's own key."
  type        = string
  default     = null

  validation {
    condition     = var.disk_encryption_set_id == null || can(regex("/providers/Microsoft.Compute/diskEncryptionSets/[^/]+$", var.disk_encryption_set_id))
    error_message = "disk_encryption_set_id is a disk encryption set's resource id."
  }
}

# Where it may connect to ------------------------------------------------------------------------------------------------------------

variable "control_plane" {
  description = "Ranges and ports of the vendor's control plane: the enrolment listener's and the agents'."
  type = object({
    cidrs = list(string)
    ports = list(number)
  })

  validation {
    condition     = length(var.control_plane.cidrs) > 0 && alltrue([for cidr in var.control_plane.cidrs : can(cidrhost(cidr, 0)) && !can(regex("/[0-7]$", cidr))])
    error_message = "control_plane.cidrs are ranges, none of them wider than /8: not 0.0.0.0/0."
  }

  validation {
    condition     = length(var.control_plane.ports) > 0 && alltrue([for port in var.control_plane.ports : port >= 1 && port <= 65535 && floor(port) == port])
    error_message = "control_plane.ports are ports, at least one."
  }
}

variable "service_tags" {
  description = "Azure's own names for the addresses of what the agent calls: AzureResourceManager, and AzureKeyVault.LOCATION where a rule issues certificates. Leave out what private endpoints stand in for."
  type        = set(string)
  default     = ["AzureResourceManager"]

  validation {
    condition     = alltrue([for tag in var.service_tags : can(regex("^(AzureResourceManager|AzureKeyVault)(\\.[A-Za-z0-9]+)?$", tag))])
    error_message = "service_tags are AzureResourceManager and AzureKeyVault, or one of their locations: not AzureCloud, and not Internet."
  }
}

variable "endpoint_cidrs" {
  description = "Ranges of private endpoints in your network that stand in for Azure's public ones."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.endpoint_cidrs : can(cidrhost(cidr, 0)) && !can(regex("/[0-7]$", cidr))])
    error_message = "endpoint_cidrs are ranges, none of them wider than /8: not 0.0.0.0/0."
  }

  validation {
    condition     = length(var.endpoint_cidrs) + length(var.service_tags) > 0
    error_message = "The agent can reach nothing of Azure: name service_tags or endpoint_cidrs."
  }
}

variable "tags" {
  description = "Tags of everything that is made here."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key in keys(var.tags) : can(regex("^[^<>%&\\\\?/]{1,128}$", key))])
    error_message = "tags have names that Azure takes: at most 128 characters, none of <>%&\\?/."
  }
}
