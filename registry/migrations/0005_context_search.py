"""Row level security of context, and the two ranked searches.

The searches are functions of the tables' owner, because row level security keeps an index on words from being used
(matching words is not leakproof): so they look at the caller's scope themselves, before anything is ranked.
"""

from django.db import migrations

from audit.rowsecurity import APP, EnableRowSecurity

OWNED = ("source", "document", "chunk", "word", "import", "importitem")

# What the caller asks for, as far as the session's scope shows it. No scope shows nothing.
VISIBLE = """
CREATE FUNCTION context_visible(asked bigint[]) RETURNS bigint[]
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  SELECT CASE
    WHEN current_setting('hanse.scope', true) = '*' THEN asked
    ELSE ARRAY(
      SELECT unnest(asked)
      INTERSECT
      SELECT unnest(string_to_array(trim(both '{}' FROM NULLIF(NULLIF(current_setting('hanse.scope', true), ''), '*')), ',')::bigint[]))
  END
$$;
"""

WORDS = """
CREATE FUNCTION context_tsv(language text, heading text, body text, parts text) RETURNS tsvector
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  SELECT setweight(to_tsvector(language::regconfig, heading), 'A')
      || setweight(to_tsvector(language::regconfig, body), 'D')
      || setweight(to_tsvector(language::regconfig, parts), 'C')
$$;

-- One word as a query, whatever characters it has.
CREATE FUNCTION context_query(word text) RETURNS tsquery LANGUAGE sql IMMUTABLE AS $$
  SELECT ('''' || replace(replace(word, '\\', '\\\\'), '''', '''''') || '''')::tsquery
$$;

-- Counts in how many of an owner's chunks each word is; the empty word is in all of them. Withheld chunks count nowhere.
CREATE FUNCTION context_count_words(owner bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('context words ' || owner, 0));
  DELETE FROM registry_word w WHERE w.owner_id = owner;
  INSERT INTO registry_word (owner_id, word, chunks)
    SELECT owner, s.word, s.ndoc FROM ts_stat(format(
      'SELECT tsv FROM registry_chunk WHERE owner_id = %s AND NOT withheld', owner)) s
    UNION ALL
    SELECT owner, '', count(*) FROM registry_chunk c WHERE c.owner_id = owner AND NOT c.withheld;
END $$;
"""

# A word counts by its rarity among what the caller sees, never among what others have. ts_rank of one word is its
# saturated frequency, so this is BM25 in kind: of the chunk, and of its document as far as that was found, added.
# Chunks that have only common words are not looked at while rarer words find enough; of words that are all common, those
# that have all of them are looked at first. How much is looked at is bounded, so that no question is slow.
TEXT = """
CREATE FUNCTION context_text(asked bigint[], languages text[], question text, required text[], excluded text[],
                             starts text[], sources bigint[], since timestamptz, ceiling integer, most integer)
RETURNS TABLE (chunk bigint, place bigint, score double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
DECLARE
  enough CONSTANT integer := 1500;
  visible bigint[] := context_visible(asked);
  spoken text[];
  total double precision;
  queries tsquery[];
  weights double precision[];
  wanted tsquery;
  narrowed tsquery;
  demanded tsquery;
  part tsquery;
  phrase text;
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
    SELECT words.token, words.word, coalesce(sum(w.chunks), 0)::float8 AS n
      FROM words LEFT JOIN registry_word w ON w.word = words.word AND w.owner_id = ANY(visible)
     GROUP BY words.token, words.word
  ), grouped AS (
    -- The forms that a word has in several languages are one word, as rare as all of them together.
    SELECT word, max(n) AS own, max(whole) AS n FROM (SELECT word, n, sum(n) OVER (PARTITION BY token) AS whole FROM counted) c
     GROUP BY word
  ), ranked AS (
    SELECT context_query(word) AS query, ln(1 + (greatest(total - n, 0) + 0.5) / (n + 0.5)) AS weight,
           sum(own) OVER (ORDER BY n, word) - own < enough AS is_looked_for, n
      FROM grouped ORDER BY n LIMIT 24
  )
  SELECT array_agg(query), array_agg(weight), string_agg(query::text, ' | ') FILTER (WHERE is_looked_for),
         CASE WHEN bool_and(n > enough) THEN string_agg(query::text, ' & ') END
    INTO queries, weights, wanted, narrowed FROM ranked;
  FOREACH phrase IN ARRAY required LOOP
    SELECT string_agg('(' || q::text || ')', ' | ')::tsquery INTO part
      FROM (SELECT DISTINCT phraseto_tsquery(l::regconfig, phrase) AS q FROM unnest(spoken) l) p WHERE numnode(q) > 0;
    demanded := coalesce(demanded && part, part, demanded);
  END LOOP;
  FOREACH phrase IN ARRAY excluded LOOP
    SELECT string_agg('(' || q::text || ')', ' | ')::tsquery INTO part
      FROM (SELECT DISTINCT plainto_tsquery(l::regconfig, phrase) AS q FROM unnest(spoken) l) p WHERE numnode(q) > 0;
    demanded := coalesce(demanded && !! part, !! part, demanded);
  END LOOP;
  wanted := coalesce(wanted && demanded, wanted, demanded);
  narrowed := coalesce(narrowed && demanded, narrowed);
  RETURN QUERY
    WITH looked_at AS (
      (SELECT c.id FROM registry_chunk c WHERE c.tsv @@ narrowed AND c.owner_id = ANY(visible) AND NOT c.withheld AND c.sensitivity <= ceiling
         AND (since IS NULL OR c.changed_at >= since) AND (sources IS NULL OR c.source_id = ANY(sources)) LIMIT enough)
      UNION
      (SELECT c.id FROM registry_chunk c WHERE c.tsv @@ wanted AND c.owner_id = ANY(visible) AND NOT c.withheld AND c.sensitivity <= ceiling
         AND (since IS NULL OR c.changed_at >= since) AND (sources IS NULL OR c.source_id = ANY(sources)) LIMIT enough)
    ), unpacked AS MATERIALIZED (
      -- A value of its own is unpacked once, a column's for each word.
      SELECT c.id, c.document_id AS document, c.words, c.tsv || ''::tsvector AS tsv
        FROM looked_at l JOIN registry_chunk c ON c.id = l.id
    ), found AS MATERIALIZED (
      SELECT u.id, u.document, u.words, ARRAY(
               SELECT ts_rank('{0.9, 0.9, 0.95, 1.0}', u.tsv, queries[i])::float8 FROM generate_subscripts(queries, 1) i
             ) AS parts
        FROM unpacked u
    ), best AS MATERIALIZED (
      SELECT f.id, f.document, f.parts, coalesce((SELECT sum(p.part * weights[p.i]) FROM unnest(f.parts) WITH ORDINALITY p(part, i)), 0)
             / (0.7 + 0.3 * f.words / avg(f.words) OVER ()) AS own
        FROM found f ORDER BY own DESC, f.id LIMIT 300
    ), held AS (
      SELECT b.document, p.i, sum(p.part) AS often FROM best b, unnest(b.parts) WITH ORDINALITY p(part, i)
       WHERE p.part > 0 GROUP BY b.document, p.i
    ), whole AS (
      SELECT h.document, sum(weights[h.i] * h.often / (h.often + 1.2 * (0.6 + 0.4 * d.share))) AS score
        FROM held h JOIN (
          SELECT d.id, d.chunk_count / avg(d.chunk_count) OVER () AS share
            FROM registry_document d WHERE d.id IN (SELECT DISTINCT b.document FROM best b)) d ON d.id = h.document
       GROUP BY h.document
    ), scored AS (
      SELECT b.id, (b.own + coalesce(w.score, 0))::float8 AS score FROM best b LEFT JOIN whole w ON w.document = b.document
    )
    SELECT s.id, row_number() OVER (ORDER BY s.score DESC, s.id), s.score FROM scored s ORDER BY s.score DESC, s.id LIMIT most;
END $$;
"""

# Where pgvector is, chunks get vectors; where it comes later, preparing again adds them.
VECTORS = f"""
CREATE FUNCTION context_prepare_vectors() RETURNS boolean LANGUAGE plpgsql AS $prepare$
BEGIN
  IF to_regtype('halfvec') IS NULL THEN
    RETURN false;
  END IF;
  ALTER TABLE registry_chunk ADD COLUMN IF NOT EXISTS embedding halfvec;
  ALTER TABLE registry_chunk ALTER COLUMN embedding SET STORAGE PLAIN;
  EXECUTE $make$
    CREATE OR REPLACE FUNCTION context_vector(asked bigint[], question halfvec, model text, sources bigint[],
                                              since timestamptz, ceiling integer, most integer)
    RETURNS TABLE (chunk bigint, place bigint, score double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
    DECLARE
      visible bigint[] := context_visible(asked);
    BEGIN
      RETURN QUERY
        WITH found AS (
          SELECT c.id, c.embedding <=> question AS distance
            FROM registry_chunk c
           WHERE c.owner_id = ANY(visible) AND NOT c.withheld AND c.embedded_with = model AND c.sensitivity <= ceiling
             AND (since IS NULL OR c.changed_at >= since) AND (sources IS NULL OR c.source_id = ANY(sources))
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
REVOKE ALL ON FUNCTION context_prepare_vectors FROM PUBLIC;
REVOKE ALL ON FUNCTION context_text FROM PUBLIC;
GRANT EXECUTE ON FUNCTION context_text TO {APP};
SELECT context_prepare_vectors();
"""

GONE = """
DROP FUNCTION IF EXISTS context_vector;
DROP FUNCTION context_prepare_vectors, context_text, context_count_words, context_query, context_tsv, context_visible;
"""


class Migration(migrations.Migration):
    dependencies = [("registry", "0004_context")]

    operations = [
        *(EnableRowSecurity(f"registry_{table}", "owner_id") for table in OWNED),
        migrations.RunSQL(VISIBLE + WORDS + TEXT + VECTORS, GONE),
    ]
