/** One target of a `Link` header (RFC 8288) with what follows it. */
const linkValue = /<([^<>]*)>([^,<]*)/g;

/**
 * The registry's `Link` header as the caller can use it: each target is the caller's own URL with the query of the
 * registry's, because a listing continues where it began (distribution-spec, «Listing Tags»). Targets of another
 * endpoint are left out; undefined when none is left.
 */
export function rewriteLink(link: string, ownPath: string, tail: string): string | undefined {
  const rewritten: string[] = [];
  for (const [, target = '', parameters = ''] of link.matchAll(linkValue)) {
    const url = URL.canParse(target, 'http://registry.invalid')
      ? new URL(target, 'http://registry.invalid')
      : undefined;
    if (url?.pathname.endsWith(`/${tail}`)) rewritten.push(`<${ownPath}${url.search}>${parameters.trimEnd()}`);
  }
  return rewritten.length === 0 ? undefined : rewritten.join(', ');
}
