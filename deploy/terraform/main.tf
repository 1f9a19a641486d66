# An OKE node pool whose kubelets pull private images of OCIR as the instances that they run on: the dynamic group, its
# policies, and user data. docs/guides/oracle.md says what it is about.

terraform {
  required_version = ">= 1.3"
  required_providers {
    oci = {
      source  = "oracle/oci"
      version = ">= 6.0"
    }
  }
}

locals {
  # install.sh packed, for all metadata of an instance may have 32,000 bytes; as deploy/cloud-init/user-data.sh does it.
  # Nothing here is secret, and nothing may be: whoever is on a node reads it.
  user_data = <<-SCRIPT
    #!/bin/bash
    export OCI_CONNECTOR_URL='${var.executable_url}'
    export OCI_CONNECTOR_SHA256_AMD64='${var.executable_sha256.amd64}'
    export OCI_CONNECTOR_SHA256_ARM64='${var.executable_sha256.arm64}'
    script=$(mktemp)
    base64 --decode <<'END' | gunzip >"$script" && exec bash "$script" --kubelet-extra-args '${var.kubelet_extra_args}'
    ${base64gzip(file("${path.module}/../cloud-init/install.sh"))}
    END
    curl --fail --header 'Authorization: Bearer Oracle' http://169.254.169.254/opc/v2/instance/metadata/oke_init_script |
      base64 --decode >/var/run/oke-init.sh && bash /var/run/oke-init.sh --kubelet-extra-args '${var.kubelet_extra_args}'
  SCRIPT
}

# Of the default identity domain; policies name another one as <domain>/oke-puller.
resource "oci_identity_dynamic_group" "puller" {
  compartment_id = var.tenancy_id
  name           = "oke-puller"
  description    = "Nodes that pull private images"
  matching_rule  = "All {instance.compartment.id = '${var.node_compartment_id}'}"
}

resource "oci_identity_policy" "puller" {
  compartment_id = var.registry_compartment_id
  name           = "oke-puller"
  description    = "What nodes may pull"
  statements = concat(
    ["Allow dynamic-group ${oci_identity_dynamic_group.puller.name} to read repos in compartment id ${var.registry_compartment_id}"],
    [for name in var.vault_secrets :
      "Allow dynamic-group ${oci_identity_dynamic_group.puller.name} to read secret-bundles in compartment id ${var.registry_compartment_id} where target.secret.name = '${name}'"
    ],
  )
}

resource "oci_containerengine_node_pool" "nodes" {
  cluster_id         = var.cluster_id
  compartment_id     = var.node_compartment_id
  name               = "oke-puller"
  kubernetes_version = var.kubernetes_version
  node_shape         = var.node_shape
  node_metadata      = { user_data = base64encode(local.user_data) }

  node_shape_config {
    ocpus         = 2
    memory_in_gbs = 16
  }

  node_source_details {
    source_type = "IMAGE"
    image_id    = var.node_image_id
  }

  node_config_details {
    size = var.size
    placement_configs {
      availability_domain = var.availability_domain
      subnet_id           = var.subnet_id
    }
  }

  # Instances that start before their policy is there pull nothing until it is.
  depends_on = [oci_identity_policy.puller]
}
