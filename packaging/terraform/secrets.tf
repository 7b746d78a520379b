# Its value is put there by hand or by rotation, never by Terraform, whose state would keep it:
#   aws secretsmanager put-secret-value --secret-id fraiseql-prod --secret-string '{"database_url": "...", "api_key": "..."}'
resource "aws_secretsmanager_secret" "this" {
  name                    = var.name
  description             = "Connection string of the service's role, and API key"
  recovery_window_in_days = 7
}

resource "aws_iam_role" "this" {
  name = var.name
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

# What an instance needs and no more.
resource "aws_iam_role_policy" "this" {
  name = var.name
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = aws_secretsmanager_secret.this.arn
      },
      {
        Effect = "Allow"
        Action = "s3:GetObject"
        Resource = [
          "arn:aws:s3:::${var.package_bucket}/${var.package_key}",
          "arn:aws:s3:::${var.package_bucket}/${var.project_key}",
        ]
      },
      {
        Effect    = "Allow"
        Action    = "cloudwatch:PutMetricData"
        Resource  = "*"
        Condition = { StringEquals = { "cloudwatch:namespace" = "CWAgent" } }
      },
    ]
  })
}

resource "aws_iam_instance_profile" "this" {
  name = var.name
  role = aws_iam_role.this.name
}
