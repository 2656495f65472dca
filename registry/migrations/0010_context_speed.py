"""The searches again, for 100,000 chunks: what is ranked is chosen first, and nothing that is ranked is unpacked twice.

Measured before: a search spent its time on unpacking word lists that PostgreSQL had put aside (TOAST), on ranking
through arrays, and on reading the owner's index for owners that see everything. `docs/decisions/0020` has the figures.
"""

from typing import Final

from django.db import migrations, models

from audit.rowsecurity import APP

# A chunk's word list stays in its row, as it is: a search reads some hundred of them, and the text only of what it shows.
STORED: Final = """
ALTER TABLE registry_chunk ALTER COLUMN tsv SET STORAGE MAIN;
ALTER TABLE registry_chunk SET (toast_tuple_target = 2700);
"""
STORED_BEFORE: Final = """
ALTER TABLE registry_chunk ALTER COLUMN tsv SET STORAGE EXTENDED;
ALTER TABLE registry_chunk RESET (toast_tuple_target);
"""

# A word counts by its rarity among what the caller sees, never among what others have. ts_rank of one word is its
# saturated frequency, so this is BM25 in kind: of the chunk, and of its document as far as that was found, added.
#
# What is ranked is bounded, so that no question is slow: all chunks with one of the rare words (so many words as are
# together in `enough` chunks), and when that is little, those that have the frequent ones together: as many of them, rarest
# first, as leave about `enough`, fewer when that finds `few`. A demanded phrase is in everything that is looked at.
# Owners stand in the same condition as the words; with `+ 0` when they are most of it, because reading their index for
# nearly everything costs more than to look at each chunk that has the words.
TEXT: Final = """
CREATE OR REPLACE FUNCTION context_text(asked bigint[], languages text[], question text, required text[], excluded text[],
                             starts text[], sources bigint[], since timestamptz, ceiling integer, most integer)
RETURNS TABLE (chunk bigint, place bigint, score double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
SET enable_seqscan = off SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
  enough CONSTANT integer := 700;
  bound CONSTANT integer := 1000;
  few CONSTANT integer := 60;
  visible bigint[] := context_visible(asked);
  spoken text[];
  total double precision;
  queries tsquery[];
  weights double precision[];
  rare tsquery;
  frequent tsquery[];
  counts double precision[];
  joined integer := 0;
  expected double precision;
  wanted tsquery;
  demanded tsquery;
  phrases tsquery;
  part tsquery;
  phrase text;
  looking text;
  places tid[] := '{}';
  more tid[];
  parts text;
  summed text;
BEGIN
  SELECT array_agg(l) INTO spoken FROM unnest(languages) l
   WHERE EXISTS (SELECT FROM registry_chunk c WHERE c.owner_id = ANY(visible) AND c.language = l);
  IF spoken IS NULL THEN
    RETURN;
  END IF;
  SELECT coalesce(sum(w.chunks), 0) INTO total FROM registry_word w WHERE w.owner_id = ANY(visible) AND w.word = '';
  WITH words AS (
    -- What is a stop word in one of the languages says nothing in the others either, however rare it is there.
    SELECT token, found.word
      FROM unnest(tsvector_to_array(to_tsvector('simple', question))) token, LATERAL (
        SELECT DISTINCT unnest(tsvector_to_array(to_tsvector(l::regconfig, token))) AS word FROM unnest(spoken) l) found
     WHERE NOT EXISTS (SELECT FROM unnest(spoken) l WHERE length(to_tsvector(l::regconfig, token)) = 0)
    UNION
    SELECT start, begun.word FROM unnest(starts) start, LATERAL (
      SELECT w.word FROM registry_word w WHERE w.owner_id = ANY(visible) AND w.word > start AND w.word < start || '~'
       GROUP BY w.word ORDER BY sum(w.chunks) DESC LIMIT 5) begun
  ), counted AS (
    SELECT token, word, (SELECT coalesce(sum(w.chunks), 0) FROM registry_word w
                          WHERE w.word = words.word AND w.owner_id = ANY(visible))::float8 AS n FROM words
  ), grouped AS (
    -- The forms that a word has in several languages are one word, as rare as all of them together.
    SELECT word, max(n) AS own, max(whole) AS n FROM (SELECT word, n, sum(n) OVER (PARTITION BY token) AS whole FROM counted) c
     GROUP BY word
  ), ranked AS (
    SELECT context_query(word) AS query, ln(1 + (greatest(total - n, 0) + 0.5) / (n + 0.5)) AS weight, own,
           row_number() OVER (ORDER BY n, word) AS nth, sum(own) OVER (ORDER BY n, word) <= enough AS is_rare
      FROM grouped ORDER BY n, word LIMIT 24
  )
  SELECT array_agg(query ORDER BY nth), array_agg(weight ORDER BY nth),
         (string_agg(query::text, ' | ' ORDER BY nth) FILTER (WHERE is_rare))::tsquery,
         array_agg(query ORDER BY nth) FILTER (WHERE NOT is_rare), array_agg(own ORDER BY nth) FILTER (WHERE NOT is_rare)
    INTO queries, weights, rare, frequent, counts FROM ranked;
  FOREACH phrase IN ARRAY required LOOP
    SELECT string_agg('(' || q::text || ')', ' | ')::tsquery INTO part
      FROM (SELECT DISTINCT phraseto_tsquery(l::regconfig, phrase) AS q FROM unnest(spoken) l) p WHERE numnode(q) > 0;
    phrases := coalesce(phrases && part, part, phrases);
  END LOOP;
  demanded := phrases;
  FOREACH phrase IN ARRAY excluded LOOP
    SELECT string_agg('(' || q::text || ')', ' | ')::tsquery INTO part
      FROM (SELECT DISTINCT plainto_tsquery(l::regconfig, phrase) AS q FROM unnest(spoken) l) p WHERE numnode(q) > 0;
    demanded := coalesce(demanded && !! part, !! part, demanded);
  END LOOP;
  looking := format($looking$
    SELECT array_agg(l.ctid) FROM (
      SELECT c.ctid FROM registry_chunk c WHERE c.tsv @@ $1 AND c.owner_id %s = ANY($2) AND NOT c.withheld AND c.sensitivity <= $3
         AND ($4 IS NULL OR c.changed_at >= $4) AND ($5 IS NULL OR c.source_id = ANY($5)) LIMIT $6) l
    $looking$, CASE WHEN total * 3 > (SELECT r.reltuples FROM pg_class r WHERE r.oid = 'registry_chunk'::regclass) THEN '+ 0' END);
  IF phrases IS NOT NULL THEN
    EXECUTE looking INTO places USING demanded, visible, ceiling, since, sources, bound;
  ELSIF rare IS NOT NULL THEN
    EXECUTE looking INTO places USING coalesce(rare && demanded, rare), visible, ceiling, since, sources, bound;
  END IF;
  places := coalesce(places, '{}');
  IF cardinality(places) < enough / 2 AND phrases IS NULL AND frequent IS NOT NULL THEN
    expected := total;
    WHILE joined < cardinality(frequent) AND (joined = 0 OR expected > enough) LOOP
      joined := joined + 1;
      expected := expected * counts[joined] / greatest(total, 1);
    END LOOP;
    WHILE joined > 0 LOOP
      SELECT string_agg(q::text, ' & ')::tsquery INTO wanted FROM unnest(frequent[:joined]) q;
      EXECUTE looking INTO more USING coalesce(wanted && demanded, wanted), visible, ceiling, since, sources, bound - cardinality(places);
      places := places || more;
      EXIT WHEN cardinality(places) >= few;
      joined := joined - 1;
    END LOOP;
  END IF;
  IF cardinality(places) = 0 THEN
    RETURN;
  END IF;
  -- One expression for each word, because a loop over words inside the statement costs more than the ranking itself.
  SELECT coalesce(string_agg(format('ts_rank(''{0.9, 0.9, 0.95, 1.0}'', c.tsv, $1[%s])', i), ', ' ORDER BY i), '0::real'),
         coalesce(string_agg(format('f.parts[%s] * $2[%s]', i, i), ' + ' ORDER BY i), '0::float8')
    INTO parts, summed FROM generate_subscripts(queries, 1) i;
  RETURN QUERY EXECUTE format($ranking$
    WITH found AS MATERIALIZED (
      SELECT c.id, c.document_id AS document, c.words::float8 AS words, ARRAY[%s] AS parts FROM registry_chunk c WHERE c.ctid = ANY($3)
    ), best AS MATERIALIZED (
      SELECT f.id, f.document, f.parts, (%s) / (0.7 + 0.3 * f.words / (SELECT avg(a.words) FROM found a)) AS own
        FROM found f ORDER BY own DESC, f.id LIMIT 200
    ), held AS (
      SELECT b.document, p.i, sum(p.part) AS often FROM best b, unnest(b.parts) WITH ORDINALITY p(part, i)
       WHERE p.part > 0 GROUP BY b.document, p.i
    ), whole AS (
      SELECT h.document, sum($2[h.i] * h.often / (h.often + 1.2 * (0.6 + 0.4 * d.share))) AS score
        FROM held h JOIN (
          SELECT d.id, d.chunk_count / avg(d.chunk_count) OVER () AS share
            FROM registry_document d WHERE d.id IN (SELECT DISTINCT b.document FROM best b)) d ON d.id = h.document
       GROUP BY h.document
    ), scored AS (
      SELECT b.id, (b.own + coalesce(w.score, 0))::float8 AS score FROM best b LEFT JOIN whole w ON w.document = b.document
    )
    SELECT s.id, row_number() OVER (ORDER BY s.score DESC, s.id), s.score FROM scored s ORDER BY s.score DESC, s.id LIMIT $4
    $ranking$, parts, summed) USING queries, weights, places, most;
END $$;
"""

# Vectors are compared one by one, exactly, in the owners that are seen. Only for who sees more than half of very many
# chunks, an index (HNSW) gives the nearest; its scan goes on until enough of them fulfil the conditions, and if that is
# too few, they are compared one by one all the same. The index needs a pgvector that can go on (0.8), and is for vectors
# of the built-in model: others have other lengths.
VECTORS: Final = f"""
CREATE OR REPLACE FUNCTION context_prepare_vectors() RETURNS boolean LANGUAGE plpgsql AS $prepare$
BEGIN
  IF to_regtype('halfvec') IS NULL THEN
    RETURN false;
  END IF;
  ALTER TABLE registry_chunk ADD COLUMN IF NOT EXISTS embedding halfvec;
  ALTER TABLE registry_chunk ALTER COLUMN embedding SET STORAGE PLAIN;
  IF (SELECT string_to_array(x.extversion, '.')::int[] >= ARRAY[0, 8] FROM pg_extension x WHERE x.extname = 'vector') THEN
    CREATE INDEX IF NOT EXISTS chunk_near ON registry_chunk USING hnsw ((embedding::halfvec(384)) halfvec_cosine_ops)
     WHERE embedded_with = 'all-MiniLM-L6-v2';
  END IF;
  EXECUTE $make$
    CREATE OR REPLACE FUNCTION context_vector(asked bigint[], question halfvec, model text, sources bigint[],
                                              since timestamptz, ceiling integer, most integer)
    RETURNS TABLE (chunk bigint, place bigint, score double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
    SET enable_seqscan = off SET max_parallel_workers_per_gather = 0 AS $$
    DECLARE
      many CONSTANT integer := 20000;
      visible bigint[] := context_visible(asked);
      seen bigint;
      near bigint[];
    BEGIN
      SELECT coalesce(sum(w.chunks), 0) INTO seen FROM registry_word w WHERE w.owner_id = ANY(visible) AND w.word = '';
      IF seen > many AND model = 'all-MiniLM-L6-v2' AND sources IS NULL AND since IS NULL AND to_regclass('chunk_near') IS NOT NULL
         AND seen * 2 > (SELECT r.reltuples FROM pg_class r WHERE r.oid = 'registry_chunk'::regclass) THEN
        PERFORM set_config('hnsw.iterative_scan', 'strict_order', true), set_config('hnsw.ef_search', greatest(200, least(most, 1000))::text, true);
        SELECT array_agg(n.id) INTO near FROM (
          SELECT c.id FROM registry_chunk c
           WHERE c.embedded_with = 'all-MiniLM-L6-v2' AND c.owner_id + 0 = ANY(visible) AND NOT c.withheld AND c.sensitivity <= ceiling
           ORDER BY c.embedding::halfvec(384) <=> question::halfvec(384) LIMIT most) n;
      END IF;
      RETURN QUERY
        WITH found AS (
          SELECT c.id, c.embedding <=> question AS distance
            FROM registry_chunk c
           WHERE c.owner_id = ANY(visible) AND NOT c.withheld AND c.embedded_with = model AND c.sensitivity <= ceiling
             AND (since IS NULL OR c.changed_at >= since) AND (sources IS NULL OR c.source_id = ANY(sources))
             AND (coalesce(cardinality(near), 0) < most OR c.id = ANY(near))
           ORDER BY distance LIMIT most
        )
        SELECT f.id, row_number() OVER (ORDER BY f.distance, f.id), 1 - f.distance FROM found f
         ORDER BY f.distance, f.id;
    END $$
  $make$;
  REVOKE ALL ON FUNCTION context_vector FROM PUBLIC;
  GRANT EXECUTE ON FUNCTION context_vector TO {APP};
  RETURN true;
END $prepare$;
SELECT context_prepare_vectors();
"""


class Migration(migrations.Migration):
    dependencies = [("registry", "0009_git_sources")]

    operations = [
        # All owners of a word stand together, with how often they have it: who sees many owners reads one place of the index.
        migrations.RemoveConstraint("word", "word_once"),
        migrations.AddConstraint(
            "word", models.UniqueConstraint(fields=["word", "owner"], include=["chunks"], name="word_once")
        ),
        migrations.AddIndex("word", models.Index(fields=["owner"], name="word_by_owner")),
        migrations.RunSQL(STORED, STORED_BEFORE),
        migrations.RunSQL(TEXT + VECTORS, migrations.RunSQL.noop),
    ]
