/** For `catch` where a file that was named is read: an error that names the option and says what the file has to be. */
export const unreadable =
  (option: string, path: string, what: string) =>
  (cause: NodeJS.ErrnoException): never => {
    const message = `${option} ${path} cannot be read (${cause.code ?? cause.message}): it has to be ${what}`;
    throw Object.assign(new Error(message, { cause }), { code: cause.code });
  };
