const methods = ['log', 'info', 'debug', 'warn', 'error', 'trace', 'dir', 'table', 'group'] as const;

/**
 * Has the console hand over what libraries print, as Oracle's SDK does, until it is restored. Nobody knows what is in it:
 * it may repeat what was sent.
 * @returns what restores it
 */
export function redirectConsole(noise: (...printed: readonly unknown[]) => void): () => void {
  const own = { ...console };
  for (const method of methods) console[method] = noise;
  return () => void Object.assign(console, own);
}
