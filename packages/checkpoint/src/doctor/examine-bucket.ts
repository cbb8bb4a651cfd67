/** What only S3 has: whether it checks what arrives, and how the bucket is set up against mistakes and rubbish. */
import {
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { nameOf } from "../s3/s3-error.js";
import type { S3ObjectStore } from "../s3/s3-object-store.js";
import { advice, bad, good, type Probe, probe } from "./examination.js";

const WRONG_MD5 = Buffer.alloc(16).toString("base64");

/** Reading a bucket's settings takes rights that a writer need not have, so the lack of them is advice. */
export async function examineBucket(store: S3ObjectStore, key: string): Promise<Probe[]> {
  return [
    await checksContent(store, key),
    await probe("versioning", () => versioning(store), "advice"),
    await probe("object lock", () => objectLock(store), "advice"),
    await probe("stale uploads", () => staleUploads(store), "advice"),
  ];
}

async function checksContent({ client, place }: S3ObjectStore, key: string): Promise<Probe> {
  const question = "checks Content-MD5";
  const condition = place.isCreateOnly ? { IfNoneMatch: "*" } : {};
  const name = { Bucket: place.bucket, Key: place.prefix + key };
  const request = { ...name, ...condition, Body: Buffer.from("x"), ContentMD5: WRONG_MD5 };
  try {
    await client.send(new PutObjectCommand(request));
    return { question, ...bad("it took bytes that do not match their digest") };
  } catch (error) {
    if (nameOf(error) === "BadDigest") return { question, ...good("bytes that do not match their digest are refused") };
    return { question, ...bad(`refused for another reason: ${nameOf(error)}`) };
  }
}

async function versioning({ client, place }: S3ObjectStore): Promise<Omit<Probe, "question">> {
  const { Status } = await client.send(new GetBucketVersioningCommand({ Bucket: place.bucket }));
  return Status === "Enabled"
    ? good("on: what is deleted can be brought back")
    : advice("off: what is deleted is gone");
}

async function objectLock({ client, place }: S3ObjectStore): Promise<Omit<Probe, "question">> {
  try {
    const { ObjectLockConfiguration } = await client.send(
      new GetObjectLockConfigurationCommand({ Bucket: place.bucket }),
    );
    if (ObjectLockConfiguration?.ObjectLockEnabled === "Enabled") return good("on");
  } catch (error) {
    if (!/^ObjectLockConfigurationNotFound|^NoSuchObjectLock/.test(codeOf(error))) throw error;
  }
  return advice("off: an identity that may delete can delete everything");
}

async function staleUploads({ client, place }: S3ObjectStore): Promise<Omit<Probe, "question">> {
  try {
    const { Rules = [] } = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: place.bucket }));
    if (
      Rules.some(({ Status, AbortIncompleteMultipartUpload }) => Status === "Enabled" && AbortIncompleteMultipartUpload)
    ) {
      return good("a lifecycle rule aborts them");
    }
  } catch (error) {
    if (codeOf(error) !== "NoSuchLifecycleConfiguration") throw error;
  }
  return advice("no lifecycle rule aborts them; Patina makes none, other programs may");
}

function codeOf(error: unknown): string {
  const { Code, name } = error as { Code?: string; name?: string };
  return Code ?? name ?? "";
}
