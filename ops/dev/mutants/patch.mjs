/** Plants a bug: the one place where its text stands, replaced. */

/** The source with the bug in it. Throws when the text to replace is not there exactly once. */
export function patch(source, { name, file, from, to }) {
  const places = source.split(from).length - 1;
  if (places === 1) return source.replace(from, () => to);
  throw new Error(`"${name}": the text to replace is ${places} times in ${file}; adjust ops/dev/mutants/planted.mjs`);
}
