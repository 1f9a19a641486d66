/** Callers' text in messages and logs: short, and without what could be taken for another line. */
export const printable = (text: string, lengthMax = 128): string =>
  text.slice(0, lengthMax).replace(/[^\x20-\x7e]/g, '?');
