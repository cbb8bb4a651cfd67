/** What a URL says of a bucket, and what it must not; and that no more waits for a bucket than may. */
import { describe, expect, test } from "vitest";
import { Lanes } from "./lanes.js";
import { parseS3Url } from "./s3-url.js";

describe("an s3:// URL", () => {
  test("names bucket, prefix, and how the server wants to be spoken to", () => {
    expect(parseS3Url("s3://bucket/some/prefix/?region=eu-central-1&profile=backup")).toMatchObject({
      bucket: "bucket",
      prefix: "some/prefix/",
      region: "eu-central-1",
      profile: "backup",
      isPathStyle: false,
      checksums: "supported",
      isCreateOnly: true,
    });
    expect(parseS3Url("s3://bucket?endpoint=http://127.0.0.1:7480")).toMatchObject({
      prefix: "",
      isPathStyle: true,
      checksums: "required",
    });
    const own = parseS3Url("s3://bucket?endpoint=https://s3.test&path_style=0&checksums=supported&create_only=0");
    expect(own).toMatchObject({ isPathStyle: false, checksums: "supported", isCreateOnly: false });
  });

  test.each([
    "s3://key:secret@bucket/prefix",
    "s3://key@bucket",
    "s3://bucket?secret_access_key=hidden",
    "s3://bucket?X-Amz-Security-Token=hidden",
    "s3://bucket?endpoint=https://key:hidden@s3.test",
  ])("with a credential is refused, and not repeated: %s", (url) => {
    expect(() => parseS3Url(url)).toThrow(
      expect.objectContaining({ code: "object-store", message: "the URL of an object store holds a credential" }),
    );
  });

  test.each([
    ["s3:///prefix", /bucket/],
    ["s3://Bucket_1/x", /bucket/],
    ["s3://bucket?pathstyle=1", /pathstyle/],
    ["s3://bucket?path_style=yes", /path_style/],
    ["s3://bucket?endpoint=ftp://host", /http/],
  ])("that is wrong is refused with what is: %s", (url, what) => {
    expect(() => parseS3Url(url)).toThrow(what);
  });
});

describe("lanes", () => {
  test("let so many run at once, in the order they came, and refuse what is too many", async () => {
    const lanes = new Lanes(2, 1);
    const finish: (() => void)[] = [];
    const started: number[] = [];
    const enter = (n: number): Promise<void> =>
      lanes.run(async () => {
        started.push(n);
        await new Promise<void>((resolve) => void finish.push(resolve));
      });
    const running = [enter(1), enter(2), enter(3)];
    await expect(enter(4)).rejects.toMatchObject({ code: "too-many" });
    expect(started).toEqual([1, 2]);
    finish[0]?.();
    await running[0];
    await expect.poll(() => started).toEqual([1, 2, 3]);
    finish.forEach((end) => end());
    await Promise.all(running);
  });

  test("go on after a failure", async () => {
    const lanes = new Lanes(1, 10);
    const failed = lanes.run(() => Promise.reject(new Error("no")));
    const next = lanes.run(() => Promise.resolve("yes"));
    await expect(failed).rejects.toThrow("no");
    expect(await next).toBe("yes");
  });
});
