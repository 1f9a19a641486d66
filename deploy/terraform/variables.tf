variable "tenancy_id" { type = string }
variable "cluster_id" { type = string }
variable "kubernetes_version" { type = string }
variable "node_image_id" { type = string }
variable "availability_domain" { type = string }
variable "subnet_id" { type = string }

variable "node_compartment_id" {
  description = "Where the nodes are: its instances become the dynamic group."
  type        = string
}

variable "registry_compartment_id" {
  description = "Where the repositories and Vault secrets are."
  type        = string
}

variable "node_shape" { default = "VM.Standard.E4.Flex" }
variable "size" { default = 3 }

variable "executable_url" {
  description = "https://…/oci-connector-credential-provider-linux-{arch}, for all nodes to read."
  type        = string
}

variable "executable_sha256" {
  description = "Of the executable for each architecture; empty for one that has no nodes."
  type        = object({ amd64 = string, arm64 = string })
}

variable "kubelet_extra_args" {
  description = "Further flags of the kubelet, without single quotes."
  type        = string
  default     = ""

  # The user data has them between single quotes.
  validation {
    condition     = length(split("'", var.kubelet_extra_args)) == 1
    error_message = "The flags of the kubelet must have no single quote: use double ones."
  }
}

variable "vault_secrets" {
  description = "Names of the Vault secrets with credentials of other registries."
  type        = list(string)
  default     = []
}
