import fc from 'fast-check';

const alphanumeric = [...'abcxyz019'];
const label = fc.string({ unit: fc.constantFrom(...alphanumeric), minLength: 1, maxLength: 8 });
const joined = (part: fc.Arbitrary<string>, separators: readonly string[], maxLength: number) =>
  fc
    .array(fc.tuple(fc.constantFrom(...separators), part), { minLength: 1, maxLength })
    .map((parts) => parts.flat().slice(1).join(''));

const domainName = joined(
  fc.oneof(
    label,
    label.map((text) => `${text}-${text}`),
    label.map((text) => text.toUpperCase()),
  ),
  ['.'],
  4,
);
const ipv6 = fc.ipV6().filter((text) => !text.includes('.'));
const port = fc.oneof(
  fc.constant(''),
  fc.integer({ min: 0, max: 65535 }).map((number) => `:${number}`),
);
const hubs = ['docker.io', 'index.docker.io', 'registry-1.docker.io', 'Docker.IO'];

/** Registries as image references write them: `localhost` and hosts with a dot, a colon or an upper-case letter. */
export const registries = fc
  .tuple(
    fc.oneof(
      domainName,
      ipv6.map((text) => `[${text}]`),
      fc.constantFrom('localhost', ...hubs),
    ),
    port,
  )
  .map((parts) => parts.join(''))
  .filter((text) => text.startsWith('localhost') || /[.:]/.test(text) || text !== text.toLowerCase());

const pathComponent = joined(label, ['.', '_', '__', '-', '---'], 3);

/** Paths of repositories. */
export const repositories = joined(pathComponent, ['/'], 4);

const tag = fc
  .tuple(fc.constantFrom(...'aZ0_'), fc.string({ unit: fc.constantFrom(...'aZ0_.-'), maxLength: 127 }))
  .map((parts) => `:${parts.join('')}`);
const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
const digest = fc.oneof(
  hex(64).map((text) => `@sha256:${text}`),
  hex(96).map((text) => `@sha384:${text}`),
  hex(128).map((text) => `@sha512:${text}`),
);

/** `:tag@digest`, either alone, or nothing. */
const suffixes = fc
  .tuple(fc.oneof(fc.constant(''), tag), fc.oneof(fc.constant(''), digest))
  .map((parts) => parts.join(''));

/** Valid image references in two parts: the name and the suffix. A name without registry has no dot before a slash. */
export const namesAndSuffixes = fc.tuple(
  fc.oneof(
    fc.tuple(registries, repositories).map((parts) => parts.join('/')),
    repositories.filter((path) => !/^[^/]*\..*\//.test(path)),
  ),
  suffixes,
);

export const references = namesAndSuffixes.map((parts) => parts.join(''));

/** Names of Kubernetes: DNS labels. */
export const labels = fc.oneof(
  label,
  label.map((text) => `${text}-${text}`),
  fc.constantFrom('constructor', 'a--b'),
);
