/** What `promise` settles with; rejects with the signal's reason as soon as that aborts, whatever becomes of it then. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const departure = Promise.withResolvers<never>();
  const onAbort = (): void => departure.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) onAbort();
    return await Promise.race([promise, departure.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
