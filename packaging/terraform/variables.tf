variable "name" {
  description = "What the instances are called; the deployment guide's name."
  type        = string
  default     = "fraiseql-prod"
}

variable "database_name" {
  description = "What the database server is called; the deployment guide's name."
  type        = string
  default     = "fraiseql-db"
}

variable "availability_zones" {
  description = "Two or more zones of one region."
  type        = list(string)
  validation {
    condition     = length(var.availability_zones) >= 2
    error_message = "Name two zones or more: with one, the loss of a zone is the loss of the service."
  }
}

variable "cidr" {
  description = "The addresses of the network."
  type        = string
  default     = "10.0.0.0/16"
}

variable "clients" {
  description = "Who may ask the service, as blocks of addresses."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "certificate_arn" {
  description = "The certificate of the load balancer, in ACM."
  type        = string
}

variable "ami_id" {
  description = "A Debian 12 image for x86_64 in the region."
  type        = string
  validation {
    condition     = startswith(var.ami_id, "ami-")
    error_message = "An image has an id that begins with ami-."
  }
}

variable "instance_type" {
  description = "4 vCPU and 8 GiB, as the deployment guide's checklist asks; a t3.large has 2 vCPU."
  type        = string
  default     = "c6i.xlarge"
}

variable "instances" {
  description = "How many instances there are at least, at most, and at the beginning."
  type        = object({ min = number, max = number, desired = number })
  default     = { min = 3, max = 10, desired = 3 }
  validation {
    condition     = var.instances.min >= 2 && var.instances.min <= var.instances.desired && var.instances.desired <= var.instances.max
    error_message = "Keep 2 <= min <= desired <= max: one instance alone is no service that may be replaced."
  }
}

variable "package_bucket" {
  description = "The S3 bucket with the Debian package and the project."
  type        = string
}

variable "package_key" {
  description = "The object with the Debian package, for example fraiseql_0.1.0_amd64.deb."
  type        = string
}

variable "project_key" {
  description = "The object with the compiled project: a .tar.gz with fraiseql.toml and schema.compiled.json at its root."
  type        = string
}

variable "drain_seconds" {
  description = "How long a target that leaves may finish its requests: server.drain_delay_ms and server.drain_timeout_ms."
  type        = number
  default     = 60
}

variable "postgres_version" {
  description = "Version of PostgreSQL."
  type        = string
  default     = "17.5"
  validation {
    condition     = can(regex("^(1[4-9])(\\.\\d+)?$", var.postgres_version)) && !can(regex("^14\\.[0-3]$", var.postgres_version))
    error_message = "PostgreSQL 14.0 to 14.3 can corrupt indexes that are built concurrently: use 14.4 or newer."
  }
}

variable "database_class" {
  description = "Size of the database server."
  type        = string
  default     = "db.m6g.large"
}

variable "database_storage_gb" {
  description = "Storage of the database at the beginning; it grows up to ten times of it."
  type        = number
  default     = 100
}

variable "backup_days" {
  description = "Every moment of so many days can be restored."
  type        = number
  default     = 7
  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "1 to 35 days; 0 would switch backups and point-in-time restore off."
  }
}

variable "deletion_protection" {
  description = "The database cannot be destroyed before this is false."
  type        = bool
  default     = true
}

variable "cache_node_type" {
  description = "Size of a Redis node; null for no Redis."
  type        = string
  default     = "cache.t4g.small"
}

variable "alarm_topics" {
  description = "SNS topics that alarms are sent to."
  type        = list(string)
  default     = []
}
