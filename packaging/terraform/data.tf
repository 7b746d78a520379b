# The deployment guide writes aws_rds_instance, which the provider does not have.
resource "aws_db_instance" "database" {
  identifier     = var.database_name
  engine         = "postgres"
  engine_version = var.postgres_version
  instance_class = var.database_class

  db_name                     = "app"
  username                    = "postgres"
  manage_master_user_password = true

  allocated_storage     = var.database_storage_gb
  max_allocated_storage = var.database_storage_gb * 10
  storage_type          = "gp3"
  storage_encrypted     = true

  multi_az               = true
  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.database.id]
  publicly_accessible    = false
  parameter_group_name   = aws_db_parameter_group.this.name

  # Backups and WAL for a restore to any moment of these days.
  backup_retention_period   = var.backup_days
  copy_tags_to_snapshot     = true
  deletion_protection       = var.deletion_protection
  skip_final_snapshot       = !var.deletion_protection
  final_snapshot_identifier = "${var.database_name}-last"

  performance_insights_enabled    = true
  enabled_cloudwatch_logs_exports = ["postgresql"]
  auto_minor_version_upgrade      = true
  apply_immediately               = false
}

resource "aws_db_subnet_group" "this" {
  name       = var.database_name
  subnet_ids = [for subnet in aws_subnet.data : subnet.id]
}

resource "aws_db_parameter_group" "this" {
  name   = "${var.database_name}-${split(".", var.postgres_version)[0]}"
  family = "postgres${split(".", var.postgres_version)[0]}"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  # Subscriptions and the response cache learn of changes by decoding.
  parameter {
    name         = "rds.logical_replication"
    value        = "1"
    apply_method = "pending-reboot"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudwatch_metric_alarm" "database_cpu" {
  alarm_name          = "${var.database_name}-cpu"
  alarm_description   = "CPU of the database above 80 % for ten minutes"
  namespace           = "AWS/RDS"
  metric_name         = "CPUUtilization"
  dimensions          = { DBInstanceIdentifier = aws_db_instance.database.identifier }
  statistic           = "Average"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 80
  period              = 300
  evaluation_periods  = 2
  alarm_actions       = var.alarm_topics
}

resource "aws_cloudwatch_metric_alarm" "database_storage" {
  alarm_name          = "${var.database_name}-storage"
  alarm_description   = "Less than a tenth of the first storage is free"
  namespace           = "AWS/RDS"
  metric_name         = "FreeStorageSpace"
  dimensions          = { DBInstanceIdentifier = aws_db_instance.database.identifier }
  statistic           = "Minimum"
  comparison_operator = "LessThanThreshold"
  threshold           = var.database_storage_gb * 1024 * 1024 * 1024 / 10
  period              = 300
  evaluation_periods  = 1
  alarm_actions       = var.alarm_topics
}

resource "aws_elasticache_subnet_group" "this" {
  count      = var.cache_node_type == null ? 0 : 1
  name       = var.name
  subnet_ids = [for subnet in aws_subnet.data : subnet.id]
}

resource "aws_security_group" "cache" {
  count       = var.cache_node_type == null ? 0 : 1
  name        = "${var.name}-cache"
  description = "Redis"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "cache" {
  count                        = var.cache_node_type == null ? 0 : 1
  security_group_id            = aws_security_group.cache[0].id
  referenced_security_group_id = aws_security_group.fraiseql.id
  from_port                    = 6379
  to_port                      = 6379
  ip_protocol                  = "tcp"
  description                  = "Only from the service"
}

resource "aws_vpc_security_group_egress_rule" "cache" {
  count                        = var.cache_node_type == null ? 0 : 1
  security_group_id            = aws_security_group.fraiseql.id
  referenced_security_group_id = aws_security_group.cache[0].id
  from_port                    = 6379
  to_port                      = 6379
  ip_protocol                  = "tcp"
  description                  = "Redis"
}

resource "aws_elasticache_replication_group" "this" {
  count                      = var.cache_node_type == null ? 0 : 1
  replication_group_id       = var.name
  description                = "Response cache of ${var.name}"
  engine                     = "redis"
  engine_version             = "7.1"
  node_type                  = var.cache_node_type
  num_cache_clusters         = 2
  automatic_failover_enabled = true
  multi_az_enabled           = true
  at_rest_encryption_enabled = true
  transit_encryption_enabled = true
  subnet_group_name          = aws_elasticache_subnet_group.this[0].name
  security_group_ids         = [aws_security_group.cache[0].id]
}
