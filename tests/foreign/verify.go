// Checks an exported log with the Go project's own transparency-log packages, so that no line of our Python says
// whether our Python is right. Usage: verify [-old CHECKPOINT] [-proof FILE] DIRECTORY VKEY
package main

import (
	"encoding/base64"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "FAILED: %s: %v\n", what, err)
		os.Exit(1)
	}
}

func require(holds bool, what string) {
	if !holds {
		check(fmt.Errorf("does not hold"), what)
	}
}

// openCheckpoint returns the tree that a signed checkpoint states.
func openCheckpoint(text []byte, verifier note.Verifier) tlog.Tree {
	opened, err := note.Open(text, note.VerifierList(verifier))
	check(err, "signature of the checkpoint")
	lines := strings.Split(opened.Text, "\n")
	require(len(lines) >= 4 && lines[0] == verifier.Name(), "origin of the checkpoint")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err, "size in the checkpoint")
	root, err := tlog.ParseHash(lines[2])
	check(err, "root in the checkpoint")
	return tlog.Tree{N: size, Hash: root}
}

// directory reads tiles of C2SP tlog-tiles, whose paths are those of the Go checksum database without the height.
type directory string

func (d directory) path(tile tlog.Tile) string {
	return filepath.Join(string(d), strings.Replace(tile.Path(), "tile/8/", "tile/", 1))
}

func (d directory) Height() int                     { return tileHeight }
func (d directory) SaveTiles([]tlog.Tile, [][]byte) {}
func (d directory) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		data, err := os.ReadFile(d.path(tile))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

// entries returns every record of the log, in order.
func (d directory) entries(size int64) [][]byte {
	var all [][]byte
	for first := int64(0); first < size; first += 1 << tileHeight {
		width := size - first
		if width > 1<<tileHeight {
			width = 1 << tileHeight
		}
		bundle := tlog.Tile{H: tileHeight, L: -1, N: first >> tileHeight, W: int(width)}
		data, err := os.ReadFile(strings.Replace(d.path(bundle), "tile/data/", "tile/entries/", 1))
		check(err, "bundle of entries")
		for ; width > 0; width-- {
			require(len(data) >= 2 && len(data) >= 2+int(binary.BigEndian.Uint16(data)), "length of an entry")
			end := 2 + int(binary.BigEndian.Uint16(data))
			all, data = append(all, data[2:end]), data[end:]
		}
		require(len(data) == 0, "end of a bundle")
	}
	return all
}

// rebuild returns the hashes of a tree that is made from the records alone.
func rebuild(entries [][]byte) tlog.HashReaderFunc {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, index := range indexes {
			found = append(found, stored[index])
		}
		return found, nil
	})
	for n, entry := range entries {
		hashes, err := tlog.StoredHashes(int64(n), entry, reader)
		check(err, "tree of the records")
		stored = append(stored, hashes...)
	}
	return reader
}

// checkLeaves compares each record with the leaf in the tiles, which the reader in turn proves against the root.
func checkLeaves(entries [][]byte, tiles tlog.HashReader) {
	indexes := make([]int64, len(entries))
	for n := range entries {
		indexes[n] = tlog.StoredHashIndex(0, int64(n))
	}
	hashes, err := tiles.ReadHashes(indexes)
	check(err, "tiles")
	for n, entry := range entries {
		require(hashes[n] == tlog.RecordHash(entry), fmt.Sprintf("leaf %d", n))
	}
}

// checkProof checks a file of `audit proof` (c2sp.org/tlog-proof@v1 with the record in its extra line).
func checkProof(text string, verifier note.Verifier) {
	top, signed, found := strings.Cut(text, "\n\n")
	lines := strings.Split(top, "\n")
	require(found && len(lines) >= 3 && lines[0] == "c2sp.org/tlog-proof@v1", "form of the proof")
	record, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	check(err, "record in the proof")
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	check(err, "index in the proof")
	var path tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		check(err, "path of the proof")
		path = append(path, hash)
	}
	tree := openCheckpoint([]byte(signed), verifier)
	check(tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(record)), "proof of the record")
}

func read(path string) string {
	data, err := os.ReadFile(path)
	check(err, path)
	return string(data)
}

func main() {
	old := flag.String("old", "", "an earlier checkpoint of the same log")
	proof := flag.String("proof", "", "a proof of one record")
	flag.Parse()
	verifier, err := note.NewVerifier(strings.TrimSpace(read(flag.Arg(1))))
	check(err, "verifier key")
	tree := openCheckpoint([]byte(read(filepath.Join(flag.Arg(0), "checkpoint"))), verifier)
	entries := directory(flag.Arg(0)).entries(tree.N)
	root, err := tlog.TreeHash(tree.N, rebuild(entries))
	check(err, "root of the records")
	require(root == tree.Hash, "root of the records")
	tiles := tlog.TileHashReader(tree, directory(flag.Arg(0)))
	checkLeaves(entries, tiles)
	if *proof != "" {
		checkProof(read(*proof), verifier)
	}
	if *old != "" {
		earlier := openCheckpoint([]byte(read(*old)), verifier)
		path, err := tlog.ProveTree(tree.N, earlier.N, tiles)
		check(err, "tiles")
		check(tlog.CheckTree(path, tree.N, tree.Hash, earlier.N, earlier.Hash), "consistency with the earlier checkpoint")
	}
	fmt.Printf("ok %d\n", tree.N)
}
