/** Data as a configuration of a ConnectorClass sees it. */
export const data = {
  connector: {
    name: 'hub',
    namespace: 'demo',
    metadata: { name: 'hub', namespace: 'demo', labels: { team: 'a', 'app.kubernetes.io/name': 'hub' }, annotations: {} },
    spec: { connectorClassName: 'oci', address: 'https://registry.example.com:5000/team', auth: { name: 'x' }, nothing: null },
    status: { proxyAddress: 'https://c-hub.demo.svc.cluster.local:8443/namespaces/demo/connectors/hub/' },
  },
  connectors: [
    { name: 'hub', namespace: 'demo', spec: {}, status: { proxyAddress: 'http://c-hub.demo.svc.cluster.local' } },
    { name: 'ghcr', namespace: 'demo', spec: { priority: 3 }, status: { proxyAddress: 'https://c-ghcr.demo.svc:8443' } },
    { name: 'quay', namespace: 'kube-public', spec: {}, status: { proxyAddress: 'http://[fd00::1]:80/p/a%20b?q=1#f' } },
  ],
  connectorclass: { name: 'oci', proxyAddress: 'http://proxy.svc:7450' },
  configurations: { x: 'given', insecure: 'true', empty: '', 'registry-config': { mirror: 'm.example.com' } },
  context: { token: 'eyJhbGciOi.J9&x=<y>', proxy: { caCert: '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n' } },
  n: { zero: 0, one: 1, minus: -7, big: 123456789, half: 0.5, pi: 3.14159, huge: 1e21, tiny: 0.00001, mega: 1234567.5 },
  flags: { yes: true, no: false },
  texts: ['b', 'a', 'b', '', 'ä', '世界', '"quoted"\n'],
  mixed: [1, 'a', true, null, 1.5, [2, 'b'], { k: 'v' }],
  nested: { b: { c: [1, 2] }, a: { c: [] }, 'with-dash': 1, 'Ünï': 2 },
  nothing: null,
  emptyList: [],
  emptyMap: {},
} as const;

/** As in the public documentation of configurations for connectors. */
export const documented: readonly string[] = [
  `{
  "auths": {
    {{- range $i, $c := .connectors }}
    {{- if $i }},{{ end }}
    {{- $url := urlParse $c.status.proxyAddress }}
    "{{ $url.host }}": {"auth": "{{ printf "%s:%s" $c.name $.context.token | b64enc }}"}
    {{- end }}
  }
}
`,
  `{{- $u := urlParse .connector.status.proxyAddress -}}
[registry."{{ $u.host }}"]
{{- if eq $u.scheme "https" }}
  ca = ["/etc/connectors/ca.crt"]
{{- else }}
  {{- if eq $u.scheme "http" }}
  http = true
  {{- else }}
  insecure = true
  {{- end }}
{{- end }}
`,
  '{"insecure-registries": {{ $all := list }}{{ range .connectors }}{{ $all = append $all (urlParse .status.proxyAddress).host }}{{ end }}{{ $all | toJson }}}',
  '{{ $hosts := list }}{{ range .connectors }}{{ $hosts = append $hosts (urlParse .status.proxyAddress).host }}{{ end }}{{ join "," $hosts }}',
  '{{ $user := printf "%s/%s" .connector.namespace .connector.name | urlquery }}http://{{ $user }}:{{ .context.token | urlquery }}@proxy.svc',
  '{{ .connector.status.proxyAddress | trimSuffix "/" }}/v2',
  '{{ (urlParse .connector.status.proxyAddress).host | splitList ":" | first }}',
  '{{ splitList "://" .connector.spec.address | last }}',
  '{{ index .configurations "x" }} {{ index .configurations "registry-config" "mirror" }}',
  '{{ if eq .configurations.insecure "true" }}insecure = true{{ end }}',
  '{{ with .configurations.mirror }}mirror = {{ . }}{{ else }}no mirror{{ end }}',
  '{{ .configurations.mirror | default "docker.io" }} {{ default "x" .configurations.empty }}',
  '{{ range $k, $v := .connector.metadata.labels }}{{ $k }}={{ $v | quote }}\n{{ end }}',
  '{{- /* a comment */ -}}\nHTTPS_PROXY={{ .connectorclass.proxyAddress }}\n{{- /* b */}}',
  'ca: |{{ .context.proxy.caCert | trim | nindent 2 }}',
  '{{ $names := list }}{{ range $c := .connectors }}{{ $names = append $names (printf "%s/%s" $c.namespace $c.name) }}{{ end }}{{ join "," $names | replace "/" "%2F" }}',
  '{{ if and (eq .connector.name "hub") (not .flags.no) }}a{{ else if .flags.yes }}b{{ else }}c{{ end }}',
  '{{ if hasPrefix "https://" .connector.status.proxyAddress }}tls{{ else }}plain{{ end }}',
  '{{ $p := (urlParse .connector.status.proxyAddress).path | trimAll "/" | splitList "/" }}{{ index $p 1 }} {{ len $p }}',
  '{{ range .connectors }}{{ with urlParse .status.proxyAddress }}{{ .scheme }} {{ .host }} {{ .hostname }} {{ .path }} {{ .query }} {{ .fragment }}\n{{ end }}{{ end }}',
  '{{ dict "registries" (list "a" "b") "n" 1 | toPrettyJson }}',
  '{{ urlJoin (dict "scheme" "http" "host" "h:80" "path" "/a b" "query" "q=1" "userinfo" "u:p%2Fq") }}',
];

export const statements: readonly string[] = [
  ...['', 'text only {', '} }}', '{{ }}', '{{', 'a {{ "b" }} c', '{{- "b" -}}', 'a {{- "b" -}} c', 'a \n\t{{- "b" }}  \n{{ "c" -}}  \n d'],
  ...['{{/* c */}}', 'a {{- /* c */ -}} b', '{{/* c', '{{/* c */ x}}', '{{ /* c */ }}', '{{-3}}', '{{- 3}}', '{{ 3 -}} x', '{{3-}}'],
  ...['{{ . }}', '{{ .a }}', '{{ .nothing }}', '{{ .connector.name }}', '{{ $.connector.name }}', '{{ .connector.name.x }}'],
  ...['{{ .missing.a.b }}', '{{ .nothing.a }}', '{{ .texts.a }}', '{{ .connector.spec.nothing.x }}', '{{ .nested.with-dash }}', '{{ .nested.Ünï }}'],
  ...['{{ $x := 1 }}{{ $x }}', '{{ $x = 1 }}', '{{ $x }}', '{{ $x := .connector }}{{ $x.name }} {{ $x.spec.auth.name }}'],
  ...['{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}', '{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}'],
  ...['{{ if $x := 1 }}{{ $x }}{{ else }}{{ $x }}{{ end }}', '{{ if $x := 1 }}{{ end }}{{ $x }}', '{{ with $x := "a" }}{{ . }}{{ $x }}{{ end }}'],
  ...['{{ $x, $y := 1 }}', '{{ $x := }}', '{{ $x := 1 | print 2 }}{{ $x }}', '{{ print ($y := 3) $y }}', '{{$x:=1}}{{$x}}', '{{$x=1}}'],
  ...['{{ if .flags.yes }}a{{ end }}', '{{ if .flags.no }}a{{ else }}b{{ end }}', '{{ if 0 }}a{{ else if "" }}b{{ else if 1 }}c{{ else }}d{{ end }}'],
  ...['{{ if .missing }}a{{ else with .texts }}b{{ end }}', '{{ with .missing }}a{{ else with .texts }}{{ len . }}{{ else }}c{{ end }}', '{{ if }}a{{ end }}'],
  ...['{{ if 1 }}a', '{{ if 1 }}a{{ else }}b', '{{ end }}', '{{ else }}', '{{ if 1 }}{{ else }}{{ else }}{{ end }}', 'a\nb\n{{ if 1 }}\n{{ if 2 }}\n{{ end }}\n'],
  ...['{{ range .texts }}[{{ . }}]{{ end }}', '{{ range $v := .texts }}{{ $v }}{{ end }}', '{{ range $i, $v := .texts }}{{ $i }}{{ $v }}{{ end }}'],
  ...['{{ range .emptyList }}a{{ else }}none{{ end }}', '{{ range .nothing }}a{{ else }}none{{ end }}', '{{ range .missing }}a{{ else }}none{{ end }}'],
  ...['{{ range .nested }}{{ . }}{{ end }}', '{{ range $k, $v := .nested }}{{ $k }}:{{ $v }} {{ end }}', '{{ range $k := .nested }}{{ $k }} {{ end }}'],
  ...['{{ range 3 }}{{ . }}{{ end }}', '{{ range $i := 3 }}{{ $i }}{{ end }}', '{{ range $i, $j := 3 }}{{ end }}', '{{ range 0 }}a{{ else }}b{{ end }}', '{{ range .n.minus }}a{{ else }}b{{ end }}'],
  ...['{{ range 1.5 }}{{ end }}', '{{ range "abc" }}{{ . }}{{ end }}', '{{ range true }}{{ end }}', '{{ range $a, $b, $c := .texts }}{{ end }}', '{{ range $a, 1 := .texts }}{{ end }}'],
  ...['{{ range .texts }}{{ if eq . "a" }}{{ break }}{{ end }}{{ . }}{{ end }}', '{{ range .texts }}{{ if eq . "a" }}{{ continue }}{{ end }}{{ . }}{{ end }}!', '{{ break }}', '{{ if 1 }}{{ continue }}{{ end }}'],
  ...['{{ range $i, $e := .texts }}{{ with $e }}{{ if eq $i 3 }}{{ break }}{{ end }}{{ . }}{{ else }}{{ continue }}{{ end }}-{{ end }}', '{{ $i := 0 }}{{ $v := 0 }}{{ range $i, $v = .texts }}{{ end }}{{ $i }}{{ $v }}', '{{ $v := 0 }}{{ range $v = .texts }}{{ end }}{{ $v }}'],
  ...['{{ range .mixed }}{{ . }}|{{ end }}', '{{ range .mixed }}{{ .k }}{{ end }}', '{{ range $i, $m := .mixed }}{{ if eq $i 3 }}{{ $m.k }}{{ end }}{{ end }}', '{{ range .texts }}{{ $x := . }}{{ end }}{{ $x }}'],
  ...['{{ define "a" }}[{{ . }}]{{ end }}{{ template "a" .connector.name }}{{ template "a" }}', '{{ template "a" }}', '{{ block "b" 3 }}({{ . }}){{ end }}{{ template "b" 4 }}', '{{ define "a" }}{{ $ }}{{ end }}{{ $x := 1 }}{{ template "a" $x }}'],
  ...['{{ define "a" }}x{{ end }}{{ define "a" }}y{{ end }}', '{{ define "a" }} {{ end }}{{ define "a" }}y{{ end }}{{ template "a" }}', '{{ if 1 }}{{ define "a" }}{{ end }}{{ end }}', '{{ define a }}{{ end }}', '{{ define "a" }}', '{{ range .texts }}{{ block "b" . }}{{ break }}{{ end }}{{ end }}', '{{ template }}'],
  ...['{{ 1 | }}', '{{ | 1 }}', '{{ 1 | 2 }}', '{{ "a" | upper | print }}', '{{ print | print }}', '{{ (1) }}', '{{ ((print "a")) }}', '{{ (1 }}', '{{ 1) }}', '{{ () }}', '{{ (urlParse "http://h/p").host }}', '{{ (dict "a" (dict "b" 1)).a.b }}', '{{ .connector.name "x" }}', '{{ "x" | .connector.name }}', '{{ "a" "b" }}', '{{ nil }}', '{{ print nil }}', '{{ nil.x }}', '{{ "a".x }}', '{{ 1.x }}', '{{ ..a }}', '{{ .a..b }}'],
  ...['{{ "a\\tb\\"\\\\\\x41\\u00e4\\101\\n" }}', '{{ `raw\\n"` }}', '{{ "a\n" }}', '{{ "a }}', '{{ `a }}', "{{ 'a' }} {{ '\\n' }} {{ 'ä' }} {{ '\\'' }}", "{{ 'ab' }}", "{{ '' }}", "{{ ' }}", '{{ "\\q" }}', '{{ "\\ud800" }}', '{{ `a\nb` }}'],
  ...['{{ 1 }} {{ -1 }} {{ +1 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 017 }} {{ 1_000 }} {{ 1.5 }} {{ 1e3 }} {{ .5 }} {{ 1. }} {{ -0 }}', '{{ 08 }}', '{{ 1__0 }}', '{{ 1x }}', '{{ 99999999999999999999 }}', '{{ 18446744073709551615 }}', '{{ 9223372036854775807 }} {{ -9223372036854775808 }}', '{{ 1e400 }}', '{{ true }} {{ false }}', '{{ 1.0 }} {{ 1e21 }} {{ 1e20 }} {{ 1e-5 }} {{ 0.0001 }} {{ 123456789.0 }} {{ 100000.0 }}'],
  ...['{{ foo }}', '{{ .a b }}', '{{ $a.b }}', '{{ a! }}', '{{ 1 & 2 }}', '{{ § }}', '{{ .a$b }}', '{{ , }}', '{{ 1, 2 }}', '{{ : }}', '{{ := }}', '{{ = }}', '{{ define }}', '{{ if if }}{{ end }}', '{{ else if }}', '{{ end end }}'],
  ...['{{ print\n"a"\n"b" }}', 'a\n{{ print 1\n.missing.x\n(index .texts 99) }}', '{{ with .connector }}{{ $.n.one }}{{ .name }}{{ end }}', '{{ range . }}{{ end }}', '{{\n.connector.name\n}}'],
];

export const builtins: readonly string[] = [
  ...['{{ and }}', '{{ and 1 0 2 }}', '{{ and 1 "a" }}', '{{ or 0 "" "x" }}', '{{ or .missing .nothing }}', '{{ 1 | and 2 }}', '{{ 0 | or 0 }}', '{{ and .flags.no (index .texts 99) }}', '{{ or 1 (fail "no") }}', '{{ not .flags.yes }} {{ not 0 }} {{ not .missing }}', '{{ not }}', '{{ not 1 2 }}'],
  ...['{{ eq 1 1 }} {{ eq 1 2 }} {{ eq "a" "b" "a" }} {{ eq 1.5 1.5 }} {{ eq true true }}', '{{ eq 1 1.0 }}', '{{ eq 1 "1" }}', '{{ eq .missing "a" }}', '{{ eq "a" .missing }}', '{{ eq .missing .nothing }}', '{{ eq .missing nil }}', '{{ eq nil "a" }}', '{{ eq .texts .texts }}', '{{ eq .texts nil }}', '{{ eq .texts .missing "x" }}', '{{ eq .emptyMap .emptyList }}', '{{ eq 1 }}', '{{ eq }}', '{{ eq 1 2 "a" }}', '{{ eq 1 1 "a" }}', '{{ eq .texts "a" }}', '{{ eq "a" .texts }}'],
  ...['{{ ne 1 2 }} {{ ne "a" "a" }}', '{{ ne .missing "a" }}', '{{ ne 1 "a" }}', '{{ lt 1 2 }} {{ le 2 2 }} {{ gt 1 2 }} {{ ge 2 2 }} {{ lt "a" "b" }} {{ lt 1.5 2.5 }}', '{{ lt 1 1.5 }}', '{{ lt .missing 1 }}', '{{ lt true false }}', '{{ lt .texts .texts }}', '{{ lt "\\uffff" "\\U00010000" }}', '{{ gt .n.pi .n.half }} {{ gt .n.big 5 }}'],
  ...['{{ len .texts }} {{ len "äb" }} {{ len .nested }} {{ len "" }}', '{{ len 1 }}', '{{ len .missing }}', '{{ len .nothing }}', '{{ len nil }}', '{{ .texts | len }}'],
  ...['{{ index .texts 1 }} {{ index .nested "b" "c" 1 }} {{ index "ab" 1 }} {{ index .texts }}', '{{ index .texts 7 }}', '{{ index .texts -1 }}', '{{ index .texts "a" }}', '{{ index .texts 1.0 }}', '{{ index .nested 1 }}', '{{ index .nested "nope" }}', '{{ index .nested "nope" "x" }}', '{{ index .missing "a" }}', '{{ index .nothing 1 }}', '{{ index 1 1 }}', '{{ index .mixed 3 }}', '{{ (index .mixed 6).k }}', '{{ index .configurations "nope" | default "d" }}', '{{ index .nested .missing }}'],
  ...['{{ print 1 2 "a" 3 true false nil .missing }}', '{{ print "a" "b" 1 2 "c" }}', '{{ println 1 "a" 2 }}', '{{ print }}', '{{ print .mixed }} {{ print .nested }} {{ print .emptyList .emptyMap }}', '{{ print .n }}', '{{ .n.huge }} {{ .n.tiny }} {{ .n.mega }} {{ .n.half }} {{ .n.big }}', '{{ print 1.0 }} {{ print 1e6 }} {{ print 1e20 }} {{ print 1e21 }} {{ print 123456.75 }}'],
  ...['{{ urlquery "a b/c?d=e&f+g%ä~*!" }} {{ urlquery 1 2 "a" }} {{ urlquery .missing }} {{ urlquery .texts }}', '{{ html "<a href=\'x\'>&\\"</a>" }} {{ html .missing 1 }}'],
  ...['{{ slice .texts 1 3 }}', '{{ slice .texts }} {{ slice .texts 2 }} {{ slice .emptyList }}', '{{ slice .texts 3 1 }}', '{{ slice .texts 1 99 }}', '{{ slice "abc" 1 }}', '{{ slice .missing }}'],
];

export const formats: readonly string[] = [
  ...['%', '%%', '%d', '%s %s', '%d%', 'plain', '%!', '%z', '%5', '%-', '%.', '%é', '%5%'],
].flatMap((format) => ['', ' 1', ' "a" 2'].map((values) => `{{ printf ${JSON.stringify(format)}${values} }}`));

const verbs = [...'vTtdboOxXcqUeEfFgGs'];
const flagged = ['', '5', '-5', '05', '+', ' ', '#', '.2', '8.3', '-8.3', '08.3', '+.1', '+08', ' 6', '#8'];
const shown = ['1', '-42', '0', '"aä"', '""', 'true', '1.5', '-2.25', '.missing', 'nil', '.texts', '.nested', '.mixed', '.n.huge', '.n.tiny', '.n.mega'];
const unsupported = /#.*[vgGeEfF]"|[xXb]"/;

/** Every verb with every value, and every flag with some. */
export const directives: readonly string[] = verbs.flatMap((verb) => [
  ...shown.map((value) => `{{ printf "%${verb}" ${value} }}`),
  ...flagged.flatMap((flag) => ['42', '"aä"', '-2.5', '.texts'].map((value) => `{{ printf "[%${flag}${verb}]" ${value} }}`)),
]).filter((template) => !(unsupported.test(template) && /\.5|\.25|\.n|\.mixed|%#.*v/.test(template)));

export const moreFormats: readonly string[] = [
  ...['{{ printf "%*d|%-*d" 5 1 4 2 }}', '{{ printf "%.*f" 2 1.005 }}', '{{ printf "%*d" "a" 1 }}', '{{ printf "%.0f %.0f %.0f %.0f" 0.5 1.5 2.5 -0.5 }}', '{{ printf "%.3g %.10g %g %.1g" 1234.5678 1234.5678 1e100 0.00001234 }}'],
  ...['{{ printf "%s" }}', '{{ printf 1 }}', '{{ printf }}', '{{ printf "%s" "a" "b" 1 .missing }}', '{{ printf "%d %s" "a" 1 }}', '{{ printf "%s" .nothing }}', '{{ "a" | printf "%s-%s" "b" }}', '{{ printf "%q" "\\u200b\\x00\\u00e9\\U0001F600\\t\'\\"" }}', "{{ printf \"%q\" '\\'' }}", '{{ printf "%x %X % x %#x" "hello" "hello" "hello" "hello" }}', '{{ printf "%08.3f|%+d|% d|%x" 3.14159 5 7 -255 }}', '{{ printf "%6.2f%%" .n.pi }}', '{{ printf "%t" 1 }}', '{{ printf "%v %v" .mixed .nested }}', '{{ printf "%T %T %T %T" 1 1.5 "a" true }}', '{{ printf "%5t|%-7t|" true false }}', '{{ printf "%05s|%-05d|" "ab" 3 }}', '{{ printf "%e %E" 123456.789 0.00012 }}', '{{ printf "%6d|%-6d|%06d" -12 -12 -12 }}', '{{ printf "%U %c" 8364 8364 }}'],
];

export const sprigCases: readonly string[] = [
  ...['{{ b64enc "a:ä" }} {{ b64dec "YTrDpA==" }} {{ b64enc "" }} {{ b64dec "" }}', '{{ b64dec "YQ==\\n" }}', '{{ b64enc 1 }}', '{{ b64enc .missing }}', '{{ .missing | b64enc }}', '{{ b64enc .nothing }}'],
  ...['{{ default "d" .missing }} {{ default "d" "" }} {{ default "d" 0 }} {{ default "d" "x" }} {{ default "d" .emptyList }} {{ default "d" false }} {{ default "d" }} {{ .nothing | default "d" }}', '{{ default }}', '{{ empty "" }} {{ empty 0 }} {{ empty .missing }} {{ empty .texts }} {{ empty .emptyMap }} {{ empty 0.0 }}', '{{ coalesce .missing "" 0 "x" "y" }} {{ coalesce }} {{ coalesce "" }}', '{{ ternary "a" "b" true }} {{ ternary "a" "b" .flags.no }} {{ .flags.yes | ternary 1 2 }}', '{{ ternary 1 2 "x" }}', '{{ ternary 1 2 .missing }}', '{{ all 1 "a" }} {{ all 1 "" }} {{ any 0 "" }} {{ any 0 1 }} {{ all }} {{ any }}'],
  ...['{{ trim "  a b \\n" }} {{ trimAll "/" "//a/b/" }} {{ trimSuffix "/" "a//" }} {{ trimPrefix "a" "aab" }} {{ trimAll "" "a" }} {{ trimAll "äx" "äxbxä" }}', '{{ upper "aäßı" }} {{ lower "AÄİΣ" }} {{ title "hello world-wide o\'neil a_b" }}', '{{ replace "a" "$&" "banana" }} {{ replace "" "-" "ab" }} {{ replace "x" "" "axb" }} {{ replace "" "-" "" }}', '{{ contains "an" "banana" }} {{ hasPrefix "b" "banana" }} {{ hasSuffix "x" "banana" }}', '{{ repeat 3 "ab" }} {{ repeat 0 "a" }}', '{{ repeat -1 "a" }}', '{{ substr 1 3 "abcdef" }} {{ substr -1 3 "abcdef" }} {{ substr 2 -1 "abcdef" }} {{ substr 2 99 "abcdef" }}', '{{ substr 4 2 "abcdef" }}', '{{ substr 9 99 "abc" }}', '{{ trunc 3 "abcdef" }} {{ trunc -3 "abcdef" }} {{ trunc 99 "a" }} {{ trunc -99 "a" }}', '{{ nospace " a b\\tc\\n" }}', '{{ indent 2 "a\\nb\\n" }}|{{ nindent 2 "a\\n\\nb" }}', '{{ indent 0 "a\\nb" }}', '{{ indent -1 "a" }}', '{{ cat 1 "a" .missing true }} {{ cat }}', '{{ quote "a\\"b" 1 .missing "c" }} {{ squote "a" 1 .texts }} {{ quote }} {{ quote .texts }} {{ quote nil }}', '{{ toString 1 }} {{ toString .texts }} {{ toString nil }} {{ toString 1.5 }} {{ toString true }}', '{{ toStrings .mixed }} {{ toStrings 1 }} {{ toStrings .missing }}'],
  ...['{{ (split "/" "a/b/c")._1 }} {{ split "," "a,b" }} {{ (splitn "/" 2 "a/b/c")._1 }} {{ (split "/" "a")._5 }} {{ splitn "/" 0 "a" }} {{ splitn "/" -1 "a/b" }}', '{{ splitList "," "a,,b" }} {{ splitList "" "äb" }} {{ splitList "," "" | len }} {{ splitList "" "" | len }} {{ splitList "x" "abc" | toJson }}', '{{ join "," .texts }} {{ join "-" .mixed }} {{ join "," "a" }} {{ join "," .missing }} {{ join "," .emptyList }} {{ join "," 5 }} {{ list 1 2 | join "+" }}'],
  ...['{{ first .texts }} {{ last .texts }} {{ rest .texts }} {{ initial .texts }} {{ first .emptyList }} {{ last .emptyList }} {{ rest .emptyList }} {{ initial .emptyList }}', '{{ first "abc" }}', '{{ first .missing }}', '{{ rest .nothing }}', '{{ rest (list) | toJson }} {{ list | toJson }} {{ concat | toJson }} {{ .emptyList | toJson }} {{ initial (list 1) | toJson }} {{ concat .emptyList | toJson }}', '{{ append .texts "z" }} {{ prepend .texts "z" }} {{ push (list 1) 2 }} {{ concat .texts (list 1 2) .emptyList }} {{ append .emptyList nil }}', '{{ append "a" 1 }}', '{{ append .missing 1 }}', '{{ prepend nil 1 }}', '{{ concat .texts "a" }}', '{{ has "a" .texts }} {{ has 1 .mixed }} {{ has "z" .texts }} {{ has nil .mixed }} {{ has "a" .missing }} {{ has (list 2 "b") .mixed }}', '{{ has "a" "abc" }}', '{{ uniq .texts }} {{ uniq .mixed }} {{ uniq .emptyList }}', '{{ without .texts "a" "b" }} {{ without .mixed nil }}', '{{ reverse .texts }} {{ compact .texts }} {{ compact .mixed }} {{ sortAlpha .texts }} {{ sortAlpha "b" }} {{ sortAlpha (list 3 1 "a" nil) }}', '{{ eq (rest .emptyList) nil }} {{ eq (rest .texts) nil }}'],
  ...['{{ dict "a" 1 "b" }} {{ dict }} {{ dict 1 2 }} {{ dict "a" }}', '{{ get .connector "name" }} {{ get .connector "x" }}| {{ get .nested "b" }}', '{{ get .missing "x" }}|', '{{ get .nothing "x" }}', '{{ get .texts "x" }}', '{{ $d := dict "a" 1 }}{{ $_ := set $d "b" 2 }}{{ $d }}{{ $_ := unset $d "a" }}{{ $d }}', '{{ $_ := set .connector "added" "x" }}{{ .connector.added }}{{ $.connector.name }}', '{{ set .missing "a" 1 }}', '{{ hasKey .connector "name" }} {{ hasKey .connector "x" }} {{ hasKey .missing "x" }} {{ hasKey .connector.spec "nothing" }}', '{{ keys .nested }} {{ values .n }} {{ keys .emptyMap }} {{ keys .nested .connector.spec | sortAlpha }}', '{{ pick .n "one" "half" "nope" }} {{ omit .n "big" "huge" "tiny" }} {{ pluck "name" .connector .nested (index .connectors 1) }}', '{{ dig "spec" "auth" "name" "d" .connector }} {{ dig "spec" "nope" "x" "d" .connector }} {{ dig "x" "d" .emptyMap }}', '{{ dig "name" "x" "d" .connector }}', '{{ dig "x" "y" }}', '{{ $d := dict "__proto__" 1 "constructor" 2 }}{{ $d.__proto__ }}{{ $d.constructor }}{{ $d }}', '{{ $d := .nested }}{{ range $k, $v := $d }}{{ $_ := set $d (print $k "x") 1 }}{{ end }}{{ len $d }}'],
  ...['{{ toJson .mixed }} {{ toJson .nested }} {{ toJson "<a&b>\\u2028\\u00e9\\x01\\x7f\\b\\f" }} {{ toJson nil }} {{ toJson .n }}', '{{ toPrettyJson .mixed }}{{ toPrettyJson .emptyMap }}{{ toPrettyJson (dict "a" (list) "b" .emptyList "c" (dict)) }}', '{{ toRawJson "<a&b>\\u2028" }} {{ toRawJson .texts }}', '{{ fromJson "{\\"a\\":[1,2.5,\\"x\\",null,true,{}],\\"b\\":1e3}" }} {{ (fromJson "{\\"a\\":{\\"b\\":1}}").a.b }} {{ fromJson "bad" }} {{ fromJson "[1,]" }} {{ fromJson "12345678" }} {{ fromJson " \\"a\\" " }} {{ fromJson "" }}', '{{ mustFromJson "bad" }}', '{{ printf "%d" (fromJson "1") }}', '{{ toJson 1.0 }} {{ toJson 1e21 }} {{ toJson 1e-7 }} {{ toJson 123456789.5 }} {{ toJson 0.000001 }}'],
  ...['{{ int "12" }} {{ int "0x1f" }} {{ int "010" }} {{ int "x" }} {{ int 3.9 }} {{ int true }} {{ int .missing }} {{ int64 "8.00" }} {{ float64 "1.5" }} {{ atoi "12" }} {{ atoi "x" }} {{ int "-5" }} {{ int "" }}', '{{ add 1 2 "3" 4.9 }} {{ add }} {{ add1 5 }} {{ sub 3 5 }} {{ mul 2 3 4 }} {{ div 7 2 }} {{ div -7 2 }} {{ mod -7 3 }} {{ max 1 5 3 }} {{ min 4 2 }} {{ biggest 1 2 }}', '{{ div 1 0 }}', '{{ mod 1 0 }}', '{{ floor 1.9 }} {{ ceil 1.1 }} {{ floor "2.7" }} {{ floor 5 }}', '{{ until 3 }} {{ until -2 }} {{ untilStep 0 10 3 }} {{ untilStep 5 0 -2 }} {{ untilStep 0 5 0 }} {{ range until 2 }}{{ . }}{{ end }}', '{{ mul 9223372036854775807 2 }} {{ add 9223372036854775807 1 }}'],
  ...['{{ sha256sum "a" }} {{ sha1sum "a" }} {{ sha512sum "" }}', '{{ typeOf 1 }} {{ typeOf "a" }} {{ typeOf 1.5 }} {{ typeOf .nested }} {{ typeOf .texts }} {{ typeOf nil }} {{ kindOf 1 }} {{ kindOf .texts }} {{ kindOf .nested }} {{ kindIs "string" "a" }} {{ typeIs "bool" true }} {{ kindOf true }} {{ kindOf 1.5 }} {{ kindOf nil }}', '{{ deepEqual (list 1 2) (list 1 2) }} {{ deepEqual (dict "a" 1) (dict "a" 2) }} {{ deepEqual nil .missing }} {{ deepEqual (list) .emptyList }}', '{{ fail "because" }}', 'a\n{{ fail "because" }}', '{{ trim }}', '{{ trim 1 }}', '{{ trim "a" "b" }}', '{{ repeat "a" "b" }}', '{{ repeat 1.0 "b" }}', '{{ repeat 1.5 "b" }}', '{{ repeat nil "b" }}', '{{ upper nil }}', '{{ upper .texts }}', '{{ 5 | upper }}', '{{ true | ternary }}', '{{ list "a" 1 nil .missing }}', '{{ env "HOME" }}', '{{ now }}', '{{ nope 1 }}'],
];

export const urls: readonly string[] = [
  ...['http://h', 'https://h:8443/a/b?x=1&y=2#frag', 'http://u:p@h/', 'http://u@h', 'http://u%2Fx:p%40y@h', 'HTTP://H/P', '//h/p', '/p/q', 'p/q', '', '*', 'mailto:a@b', 'a:b', ':x', '1a:b', 'x:y/z', 'a b', 'http://a b/', 'http://h/a b', 'http://h/%zz', 'http://h/%2f%20ä'],
  ...['http://[::1]:80/', 'http://[::1', 'http://[::1]x', 'http://[1.2.3.4]/', 'http://h:80:90/', 'http://h:x/', 'foo://h:80:90/', 'http://h:/', 'http://h?', 'http://h#', 'http://h??a', 'http://', 'http:///p', 'http:/p', 'http:p', '///p', 'http://h/?a=b?c#d#e', 'http://h%41/', 'http://hä/', 'http://h%C3%A4/', 'http://h<x>/', 'http://h"q"/', 'http://[fe80::1%25en0]:80/', 'http://a@b@c/', 'http://u:p:q@h', 'http://u^@h', 'h:80', 'h.example.com:8443/x', 'docker.io', 'http://h/#%zz', 'http://h/#a%20b', 'http://h/;a,b', 'a/b:c', 'http://h\\x', "http://h/'x'"],
].map((url) => `{{ $u := urlParse ${JSON.stringify(url)} }}{{ toJson $u }} {{ urlJoin $u }}`);
