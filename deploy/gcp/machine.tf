# One machine, never two: a group of size 1 that ends the old one before it starts the new one, whatever the reason.

resource "google_compute_instance_template" "agent" {
  project      = var.project
  name_prefix  = "${trimsuffix(local.name, "-")}-"
  description  = "reeve of ${var.cluster}"
  machine_type = var.machine_type

  # Nobody logs in: what the owner has to say, the owner's folder says.
  metadata = {
    user-data              = var.user_data
    block-project-ssh-keys = "TRUE"
    enable-oslogin         = "FALSE"
    serial-port-enable     = "FALSE"
  }

  service_account {
    email = google_service_account.agent.email
    # What it may do its roles say alone.
    scopes = ["cloud-platform"]
  }

  network_interface {
    subnetwork = var.subnetwork
    # No access_config: no public address.
  }

  disk {
    boot         = true
    auto_delete  = true
    source_image = var.image

    dynamic "disk_encryption_key" {
      for_each = var.kms_key == null ? [] : [var.kms_key]

      content {
        kms_key_self_link = disk_encryption_key.value
      }
    }
  }

  disk {
    boot         = false
    auto_delete  = !var.log_disk.keep
    disk_size_gb = var.log_disk.gb
    device_name  = "reeve-log"

    dynamic "disk_encryption_key" {
      for_each = var.kms_key == null ? [] : [var.kms_key]

      content {
        kms_key_self_link = disk_encryption_key.value
      }
    }
  }

  shielded_instance_config {
    enable_secure_boot          = true
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_instance_group_manager" "agent" {
  project            = var.project
  zone               = var.zone
  name               = trimsuffix(local.name, "-")
  base_instance_name = trimsuffix(local.name, "-")
  target_size        = 1

  version {
    instance_template = google_compute_instance_template.agent.self_link_unique
  }

  update_policy {
    type                  = "PROACTIVE"
    minimal_action        = "REPLACE"
    replacement_method    = "SUBSTITUTE"
    max_surge_fixed       = 0
    max_unavailable_fixed = 1
  }

  # Without its permissions the agent's first look would be refused.
  depends_on = [
    google_project_iam_member.agent,
    google_privateca_ca_pool_iam_member.agent,
    google_dns_managed_zone_iam_member.agent,
    google_storage_bucket_iam_member.agent,
    google_compute_firewall.nothing_in,
    google_compute_firewall.nothing_else_out,
  ]
}
