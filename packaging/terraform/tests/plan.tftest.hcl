# Plans against the real provider, with keys that open nothing.
provider "aws" {
  region                      = "eu-central-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

variables {
  availability_zones = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  certificate_arn    = "arn:aws:acm:eu-central-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
  ami_id             = "ami-0123456789abcdef0"
  package_bucket     = "shop-packages"
  package_key        = "fraiseql_0.1.0_amd64.deb"
  project_key        = "project.tar.gz"
}

run "the_guides_names_and_what_it_asks_for" {
  command = plan

  assert {
    condition     = aws_db_instance.database.identifier == "fraiseql-db" && aws_autoscaling_group.this.name == "fraiseql-prod"
    error_message = "The names are not those of the deployment guide."
  }
  assert {
    condition     = aws_db_instance.database.multi_az && aws_db_instance.database.backup_retention_period >= 1 && aws_db_instance.database.storage_encrypted && !aws_db_instance.database.publicly_accessible
    error_message = "The database must survive the loss of a zone, be restorable to a moment, encrypted, and private."
  }
  assert {
    condition     = length(aws_subnet.service) == 3 && alltrue([for subnet in aws_subnet.service : !subnet.map_public_ip_on_launch])
    error_message = "The instances must be in private subnets."
  }
  assert {
    condition     = aws_lb_listener.https.protocol == "TLS" && aws_lb_target_group.this.health_check[0].path == "/health/ready"
    error_message = "The load balancer must speak TLS and ask for readiness."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.cpu.threshold == 70 && aws_cloudwatch_metric_alarm.cpu.period * aws_cloudwatch_metric_alarm.cpu.evaluation_periods == 600 && aws_cloudwatch_metric_alarm.memory.threshold == 80
    error_message = "The triggers are not those of the deployment guide."
  }
  assert {
    condition     = aws_launch_template.this.metadata_options[0].http_tokens == "required"
    error_message = "The metadata service must ask for a token."
  }
  assert {
    condition     = length(aws_elasticache_replication_group.this) == 1
    error_message = "There should be a Redis."
  }
}

run "without_redis" {
  command = plan
  variables {
    cache_node_type = null
  }
  assert {
    condition     = length(aws_elasticache_replication_group.this) == 0 && length(aws_vpc_security_group_egress_rule.cache) == 0
    error_message = "Nothing of Redis should be left."
  }
}

run "a_version_that_corrupts_indexes_is_refused" {
  command = plan
  variables {
    postgres_version = "14.0"
  }
  expect_failures = [var.postgres_version]
}

run "one_zone_is_refused" {
  command = plan
  variables {
    availability_zones = ["eu-central-1a"]
  }
  expect_failures = [var.availability_zones]
}

run "no_backups_are_refused" {
  command = plan
  variables {
    backup_days = 0
  }
  expect_failures = [var.backup_days]
}
