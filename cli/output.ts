/** What a command writes: standard output is the result, standard error what there is to say about it. */
export interface Output {
  result(text: string): void;
  note(text: string): void;
}

/** Writes to this process's own streams. When nobody reads one of them any more, the process ends without a word. */
export function processOutput(): Output {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', endQuietly);
  return {
    result: (text) => void process.stdout.write(text),
    note: (text) => void process.stderr.write(`${text}\n`),
  };
}

/** `oci-connector … | head -1`: the reader has what it wanted. */
function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
}
