/** One request as a Distribution registry logged it. */
export interface RegistryRequest {
  readonly method: string;
  /** Path and query. */
  readonly uri: string;
  readonly status: number;
  readonly userAgent: string;
  /** The registry accepted a credential or token that came with it; false for all requests to an open registry. */
  readonly isAuthorized: boolean;
  /** The token's `sub`, or the name given in Basic. Release 2.8 logs it for failures only. */
  readonly user?: string;
  /** Why the registry answered 401: with tokens, `authorization token required` is a request that brought none. */
  readonly refusal?: string;
}

const refused = 'error authorizing context: ';

/** The requests that `lines` tell of, in the order in which they were answered; other lines are passed over. */
export function readRegistryRequests(lines: readonly string[]): RegistryRequest[] {
  const authorized = new Set<string>();
  return lines.flatMap((line) => {
    const entry = readEntry(line);
    const id = entry?.['http.request.id'];
    if (entry === undefined || id === undefined) return [];
    // Only release 3 repeats the user in the last line of a request; both say that they authorized it.
    if (entry['msg'] === 'authorized request') authorized.add(id);
    return readAnswer(entry, authorized.has(id));
  });
}

/** The port in the line that a registry prints once its socket listens. */
export function readListeningPort(line: string): string | undefined {
  return /listening on [\d.]+:(?<port>\d+)/.exec(line)?.groups?.['port'];
}

type Entry = Readonly<Record<string, string | undefined>>;

function readAnswer(entry: Entry, isAuthorized: boolean): RegistryRequest[] {
  const message = entry['msg'] ?? '';
  const isRefused = message.startsWith(refused);
  if (!isRefused && !message.startsWith('response completed')) return [];
  const user = entry['auth.user.name'];
  return [
    {
      method: entry['http.request.method'] ?? '',
      uri: entry['http.request.uri'] ?? '',
      status: isRefused ? 401 : Number(entry['http.response.status']),
      userAgent: entry['http.request.useragent'] ?? '',
      isAuthorized,
      ...(user === undefined ? {} : { user }),
      ...(isRefused ? { refusal: message.slice(refused.length) } : {}),
    },
  ];
}

function readEntry(line: string): Entry | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
