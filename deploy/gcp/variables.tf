variable "cluster" {
  description = "The cluster's name, as in the policy and in reeve.yaml."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.cluster))
    error_message = "cluster is a name of lower-case letters, digits and hyphens, at most 63."
  }
}

variable "project" {
  description = "The project's id: of the agent's machine and of what the policy is about."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project is a project's id, not its number."
  }
}

variable "zone" {
  description = "The zone of the one machine, in the policy's region."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}-[a-z]$", var.zone))
    error_message = "zone is of the form europe-west1-b."
  }
}

# What the agent may do --------------------------------------------------------------------------------------------------------------

variable "permissions_json" {
  description = "The least permissions of the owner's policy: `reeve policy permissions policy.yaml --format gcp`."
  type        = string

  validation {
    condition     = can(jsondecode(var.permissions_json).roles[*].includedPermissions) && can(jsondecode(var.permissions_json).bindings[*].resource)
    error_message = "permissions_json is what `reeve policy permissions` prints: roles and bindings."
  }

  validation {
    condition = alltrue([
      for role in try(jsondecode(var.permissions_json).roles, []) :
      alltrue([for permission in role.includedPermissions : !can(regex("^(iam|resourcemanager|orgpolicy|cloudbuild|deploymentmanager)\\.|setIamPolicy$|^compute\\.(instances|projects|instanceTemplates)\\.", permission))])
    ])
    error_message = "permissions_json grants a permission with which the agent could raise its own (iam, resourcemanager, setIamPolicy, instances, …)."
  }

  validation {
    condition = alltrue([
      for binding in try(jsondecode(var.permissions_json).bindings, []) :
      contains([for role in jsondecode(var.permissions_json).roles : role.name], binding.role)
    ])
    error_message = "permissions_json binds a role that it does not define: a predefined role is none that reeve renders."
  }
}

# Where it runs ----------------------------------------------------------------------------------------------------------------------

variable "subnetwork" {
  description = "The subnetwork's self link. It should have Private Google Access: the machine has no public address."
  type        = string

  validation {
    condition     = can(regex("projects/[a-z0-9-]+/regions/[a-z0-9-]+/subnetworks/[a-z0-9-]+$", var.subnetwork))
    error_message = "subnetwork is a self link, ending in projects/…/regions/…/subnetworks/…."
  }
}

variable "network" {
  description = "The self link of the subnetwork's network, for its firewall's rules."
  type        = string

  validation {
    condition     = can(regex("projects/[a-z0-9-]+/global/networks/[a-z0-9-]+$", var.network))
    error_message = "network is a self link, ending in projects/…/global/networks/…."
  }
}

variable "image" {
  description = "The machine's image. It must bring systemd, and cloud-init or another reader of the metadata key user-data."
  type        = string

  validation {
    condition     = length(var.image) > 0
    error_message = "image names an image."
  }
}

variable "machine_type" {
  description = "The machine's type, of the image's architecture."
  type        = string
  default     = "e2-small"

  validation {
    condition     = can(regex("^[a-z0-9]+-[a-z0-9-]+$", var.machine_type))
    error_message = "machine_type is of the form e2-small."
  }
}

variable "user_data" {
  description = "What the machine does when it first boots: installs reeve, mounts the log's disk, writes reeve.yaml, starts the unit. It may hold a join token, which is good once and for a day at most."
  type        = string
  sensitive   = true

  validation {
    condition     = length(var.user_data) > 0 && length(var.user_data) <= 262144
    error_message = "user_data is neither empty nor over 256 KiB."
  }
}

variable "log_disk" {
  description = "The disk for /var/lib/reeve. keep: it outlives the machine, so that the log of a replaced machine can still be read."
  type = object({
    gb   = optional(number, 20)
    keep = optional(bool, true)
  })
  default = {}

  validation {
    condition     = var.log_disk.gb >= 10 && var.log_disk.gb <= 1024 && floor(var.log_disk.gb) == var.log_disk.gb
    error_message = "log_disk.gb is a whole number from 10 to 1024."
  }
}

variable "kms_key" {
  description = "The key that both disks are encrypted with. Null: Google's own."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^projects/[a-z0-9-]+/locations/[a-z0-9-]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "kms_key is projects/…/locations/…/keyRings/…/cryptoKeys/…."
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

variable "google_cidrs" {
  description = "Ranges that Google's APIs are reached in. The default is restricted.googleapis.com, which private DNS must point *.googleapis.com to."
  type        = list(string)
  default     = ["199.36.153.4/30"]

  validation {
    condition     = length(var.google_cidrs) > 0 && alltrue([for cidr in var.google_cidrs : can(cidrhost(cidr, 0)) && !can(regex("/[0-7]$", cidr))])
    error_message = "google_cidrs names at least one range, none of them wider than /8: not 0.0.0.0/0."
  }
}
