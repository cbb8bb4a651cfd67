/** What one write may cost. Every limit is refused with a clear error before anything is half done. */
export interface StoreLimits {
  /** Rows one transaction may touch. Larger loads split: peers apply a version in one go and must not stall. */
  readonly transactionRowsMax: number;
  /** Times one transaction's SQL may touch a row, the same or another: what is noted of each is held until its end. */
  readonly touchesMax: number;
  /** Bytes of one transaction's encoded rows: it must fit one frame with room to spare. */
  readonly transactionBytesMax: number;
  readonly rowBytesMax: number;
  readonly sqlBytesMax: number;
  /** SQLite's own ceiling (SQLITE_MAX_VARIABLE_NUMBER). */
  readonly parametersMax: number;
  /** Prepared statements kept per connection, least recently used out first. */
  readonly statementsCachedMax: number;
  /** Recent changesets kept with their exact bytes for peers that ask; older ones are read back from the rows. */
  readonly recentBytesMax: number;
  /**
   * The write-ahead log's length beyond which writes and remote changes are refused as `store-busy`, until it has been
   * cut. It grows for as long as some reader keeps one snapshot open; users' queries end at their deadline long before.
   */
  readonly walBytesMax: number;
  /** Pages the file may grow to, SQLite's own ceiling by default. A write beyond it fails as on a full disk. */
  readonly pagesMax: number;
  /**
   * Bytes of changes in quarantine. With it full, a change that cannot be applied is not held: its origin waits with it, and it
   * is fetched again, until there is room. Nothing else waits, and nothing is forgotten.
   */
  readonly quarantineBytesMax: number;
  /** Fenced writes, and doubtful rows, of which a record is kept: beyond it the oldest goes. */
  readonly contestsMax: number;
}

export const defaultStoreLimits: StoreLimits = {
  transactionRowsMax: 10_000,
  touchesMax: 50_000,
  transactionBytesMax: 4 << 20,
  rowBytesMax: 1 << 20,
  sqlBytesMax: 1 << 20,
  parametersMax: 32_766,
  statementsCachedMax: 256,
  recentBytesMax: 8 << 20,
  walBytesMax: 1 << 30,
  pagesMax: 0xffff_fffe,
  quarantineBytesMax: 64 << 20,
  contestsMax: 1000,
};
