output "endpoint" {
  description = "The name of the load balancer; point the name of the certificate to it."
  value       = aws_lb.this.dns_name
}

output "database_address" {
  description = "Host and port of PostgreSQL."
  value       = aws_db_instance.database.endpoint
}

output "secret_name" {
  description = "The secret whose value is to be put there."
  value       = aws_secretsmanager_secret.this.name
}

output "redis_address" {
  description = "Host of Redis; null without."
  value       = one(aws_elasticache_replication_group.this[*].primary_endpoint_address)
}
