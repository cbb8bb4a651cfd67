# Two identities. An agent writes and reads and deletes nothing, so that whoever takes over an agent cannot take the
# checkpoints away; only the pruner deletes, and it writes
# nothing but lists of what it will delete.
resource "aws_iam_policy" "writer" {
  name_prefix = "patina-checkpoint-writer-"
  policy      = data.aws_iam_policy_document.writer.json
}

resource "aws_iam_policy" "pruner" {
  name_prefix = "patina-checkpoint-pruner-"
  policy      = data.aws_iam_policy_document.pruner.json
}

data "aws_iam_policy_document" "writer" {
  source_policy_documents = [data.aws_iam_policy_document.list.json]

  statement {
    sid       = "WriteAndRead"
    actions   = ["s3:PutObject", "s3:GetObject"]
    resources = ["${aws_s3_bucket.checkpoints.arn}/${var.prefix}/*"]
  }

  # What `patina checkpoint doctor` looks at.
  statement {
    sid       = "SeeSettings"
    actions   = ["s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration", "s3:GetLifecycleConfiguration"]
    resources = [aws_s3_bucket.checkpoints.arn]
  }
}

data "aws_iam_policy_document" "pruner" {
  source_policy_documents = [data.aws_iam_policy_document.list.json]

  statement {
    sid       = "ReadAndDelete"
    actions   = ["s3:GetObject", "s3:DeleteObject"]
    resources = ["${aws_s3_bucket.checkpoints.arn}/${var.prefix}/*"]
  }

  statement {
    sid       = "Mark"
    actions   = ["s3:PutObject"]
    resources = [
      "${aws_s3_bucket.checkpoints.arn}/${var.prefix}/v1/*/trash/*",
      # Written before anything else, to see that the store keeps a name that is taken.
      "${aws_s3_bucket.checkpoints.arn}/${var.prefix}/.create-only",
    ]
  }
}

# Without the right to list, S3 answers 403 to a name that is absent.
data "aws_iam_policy_document" "list" {
  statement {
    sid       = "List"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.checkpoints.arn]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["${var.prefix}/*"]
    }
  }
}
