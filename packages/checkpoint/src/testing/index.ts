/** For the tests and benchmarks of other packages: a real S3 server, and faults between it and us. */
export { type CephServer, hasCeph, startCephServer } from "./s3/ceph-server.js";
export { type FaultProxy, startFaultProxy } from "./s3/fault-proxy.js";
