# Nothing comes in: the agent accepts no connection. Out goes only what is named here. The rules are about the agent's own service account, so no
# other machine is touched by them. The metadata server and its name server are not behind the firewall.

resource "google_compute_firewall" "nothing_in" {
  project                 = var.project
  name                    = "${trimsuffix(local.name, "-")}-nothing-in"
  network                 = var.network
  direction               = "INGRESS"
  priority                = 0
  source_ranges           = ["0.0.0.0/0"]
  target_service_accounts = [google_service_account.agent.email]

  deny {
    protocol = "all"
  }
}

resource "google_compute_firewall" "control_plane" {
  project                 = var.project
  name                    = "${trimsuffix(local.name, "-")}-control-plane"
  network                 = var.network
  direction               = "EGRESS"
  priority                = 1
  destination_ranges      = var.control_plane.cidrs
  target_service_accounts = [google_service_account.agent.email]

  allow {
    protocol = "tcp"
    ports    = [for port in var.control_plane.ports : tostring(port)]
  }
}

resource "google_compute_firewall" "google" {
  project                 = var.project
  name                    = "${trimsuffix(local.name, "-")}-google"
  network                 = var.network
  direction               = "EGRESS"
  priority                = 1
  destination_ranges      = var.google_cidrs
  target_service_accounts = [google_service_account.agent.email]

  allow {
    protocol = "tcp"
    ports    = ["443"]
  }
}

resource "google_compute_firewall" "nothing_else_out" {
  project                 = var.project
  name                    = "${trimsuffix(local.name, "-")}-nothing-else-out"
  network                 = var.network
  direction               = "EGRESS"
  priority                = 2
  destination_ranges      = ["0.0.0.0/0"]
  target_service_accounts = [google_service_account.agent.email]

  deny {
    protocol = "all"
  }
}
