/** The command line is wrong: exit code 2. The message says which option, and what to write. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}
