import { expect, test } from 'vitest';
import { rewriteLink } from '../../proxy/link.ts';

const own = '/v2/namespaces/demo/connectors/harbor/team/app/tags/list';
const asked = new URL('https://harbor.example.com/v2/team/app/tags/list?n=2');

test.each<[string, string, string | undefined]>([
  ['relative', '</v2/team/app/tags/list?last=b&n=2>; rel="next"', `<${own}?last=b&n=2>; rel="next"`],
  ['only a query', '<?last=b&n=2>; rel="next"', `<${own}?last=b&n=2>; rel="next"`],
  ['a sibling', '<list?last=b&n=2>; rel="next"', `<${own}?last=b&n=2>; rel="next"`],
  ['of another host', '<http://internal:5000/v2/team/app/tags/list?last=b>; rel=next', `<${own}?last=b>; rel=next`],
  [
    'behind a prefix',
    '</artifactory/api/docker/v2/team/app/tags/list?last=b>; rel="next"',
    `<${own}?last=b>; rel="next"`,
  ],
  [
    'encoded in the query',
    '</v2/team/app/tags/list?last=a%2Cb%3E&n=1>; rel="next"',
    `<${own}?last=a%2Cb%3E&n=1>; rel="next"`,
  ],
  ['with a comma in the query', '</v2/team/app/tags/list?last=a,b>; rel="next"', `<${own}?last=a,b>; rel="next"`],
  [
    'one of several',
    '</v2/_catalog?n=1>; rel="up", </v2/team/app/tags/list?last=b>; rel="next" , <https://a/tags/list>; rel="first"',
    `<${own}?last=b>; rel="next", <${own}>; rel="first"`,
  ],
  ['of another endpoint', '</v2/_catalog?last=b>; rel="next"', undefined],
  ['of a path that ends alike', '</v2/team/app/xtags/list?last=b>; rel="next"', undefined],
  ['no URL', '<http://[>; rel="next"', undefined],
  ['not a link', 'tags/list', undefined],
  ['empty', '', undefined],
])('a Link that is %s', (_kind, link, expected) => {
  expect(rewriteLink(link, asked, 'tags/list', own)).toBe(expected);
});

test('a Link to referrers is found with the colon of the digest written either way', () => {
  const tail = `referrers/sha256:${'a'.repeat(64)}`;
  const at = new URL(`https://harbor.example.com/v2/team/app/${tail}`);
  for (const written of [tail, tail.replace(':', '%3A'), tail.replace(':', '%3a')]) {
    expect(rewriteLink(`</v2/team/app/${written}?page=2>; rel="next"`, at, tail, `/v2/app/${tail}`)).toBe(
      `</v2/app/${tail}?page=2>; rel="next"`,
    );
  }
});
