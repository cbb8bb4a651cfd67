/**
 * UTF-8 without a platform: pure packages have no TextEncoder. Lone surrogates become U+FFFD when encoded, and
 * malformed bytes become U+FFFD when decoded, so every input has a result and decoders never throw here.
 */

const REPLACEMENT = 0xfffd;

/** How many bytes `text` takes. */
export function utf8Length(text: string): number {
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) length += 1;
    else if (unit < 0x800) length += 2;
    else if (isPair(text, i)) {
      length += 4;
      i++;
    } else length += 3;
  }
  return length;
}

/** Writes `text` at `offset` and returns the offset after it. The caller has made room for `utf8Length(text)`. */
export function utf8Write(text: string, into: Uint8Array, offset: number): number {
  let at = offset;
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if (code < 0x80) {
      into[at++] = code;
      continue;
    }
    if (isPair(text, i)) {
      code = text.codePointAt(i) ?? REPLACEMENT;
      i++;
    } else if (code >= 0xd800 && code <= 0xdfff) code = REPLACEMENT;
    if (code < 0x800) into[at++] = 0xc0 | (code >> 6);
    else {
      if (code < 0x10000) into[at++] = 0xe0 | (code >> 12);
      else {
        into[at++] = 0xf0 | (code >> 18);
        into[at++] = 0x80 | ((code >> 12) & 0x3f);
      }
      into[at++] = 0x80 | ((code >> 6) & 0x3f);
    }
    into[at++] = 0x80 | (code & 0x3f);
  }
  return at;
}

export function utf8Read(from: Uint8Array, start: number, end: number): string {
  let at = asciiEnd(from, start, end);
  let text = at > start ? asciiRead(from, start, at) : "";
  while (at < end) {
    const lead = from[at++] ?? 0;
    if (lead < 0x80) {
      text += String.fromCharCode(lead);
      continue;
    }
    const extra = lead >= 0xf8 ? 0 : lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc2 ? 1 : 0;
    let code = extra === 3 ? lead & 0x07 : extra === 2 ? lead & 0x0f : lead & 0x1f;
    let taken = 0;
    while (taken < extra && at < end && ((from[at] ?? 0) & 0xc0) === 0x80) {
      code = (code << 6) | ((from[at++] ?? 0) & 0x3f);
      taken++;
    }
    text += String.fromCodePoint(extra === 0 || taken < extra || !isScalar(code, extra) ? REPLACEMENT : code);
  }
  return text;
}

/** Where the plain ASCII that begins at `start` ends. Most text is nothing else. */
function asciiEnd(from: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && (from[at] as number) < 0x80) at++;
  return at;
}

/** Characters made by one call: its arguments go on the stack. */
const CHARACTERS_PER_CALL = 4096;

function asciiRead(from: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let at = start; at < end; at += CHARACTERS_PER_CALL) {
    const slice = from.subarray(at, Math.min(end, at + CHARACTERS_PER_CALL));
    text += String.fromCharCode.apply(null, slice as unknown as number[]);
  }
  return text;
}

function isPair(text: string, i: number): boolean {
  const high = text.charCodeAt(i);
  if (high < 0xd800 || high > 0xdbff) return false;
  const low = text.charCodeAt(i + 1);
  return low >= 0xdc00 && low <= 0xdfff;
}

function isScalar(code: number, extra: number): boolean {
  const smallest = extra === 1 ? 0x80 : extra === 2 ? 0x800 : 0x10000;
  return code >= smallest && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
}
