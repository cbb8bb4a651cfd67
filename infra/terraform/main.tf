# A bucket for checkpoints and who may do what in it. The bucket and the identities are made in the account and region
# that the provider is configured for; nothing else is touched.
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40"
    }
  }
}

variable "bucket" {
  description = "The bucket's name. It is created, and never deleted while it holds anything."
  type        = string
}

variable "prefix" {
  description = "Where in the bucket checkpoints lie: the path of the store's URL, without slashes at its ends."
  type        = string
  default     = "patina"

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9._/-]*[A-Za-z0-9_]$", var.prefix))
    error_message = "Use letters, digits, dot, dash and underscore between slashes, and no slash at the ends."
  }
}

variable "undelete_days" {
  description = "For how long what was deleted can be brought back."
  type        = number
  default     = 30
}

output "store" {
  description = "What [checkpoint] store is set to."
  value       = "s3://${aws_s3_bucket.checkpoints.bucket}/${var.prefix}?region=${aws_s3_bucket.checkpoints.region}"
}

output "writer_policy" {
  description = "Attach it to the role of every agent."
  value       = aws_iam_policy.writer.arn
}

output "pruner_policy" {
  description = "Attach it to the one identity that deletes, and to no agent's."
  value       = aws_iam_policy.pruner.arn
}
