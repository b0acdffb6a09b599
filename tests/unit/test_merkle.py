"""Trees of hashes: the values other programs have for the same leaves, and every proof of small trees."""

from __future__ import annotations

import pytest

from clinic_app.core import merkle

#: The leaves and roots that the tests of Certificate Transparency's programs use.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
MOST = 40


def tree(leaves: list[bytes]) -> merkle.Node:
    """All hashes over these leaves."""

    def node(level: int, number: int) -> bytes:
        if level == 0:
            return leaves[number]
        return merkle.parent(node(level - 1, 2 * number), node(level - 1, 2 * number + 1))

    return node


NODE = tree([merkle.leaf_hash(bytes([number])) for number in range(MOST)])


def test_roots_are_those_of_other_programs():
    leaves = [merkle.leaf_hash(bytes.fromhex(each)) for each in LEAVES]
    growing = merkle.Growing()
    assert growing.root() == merkle.root(tree(leaves), 0) == merkle.EMPTY
    for size, root in ROOTS.items():
        growing.add(leaves[size - 1])
        assert growing.root().hex() == merkle.root(tree(leaves), size).hex() == root


@pytest.mark.parametrize("size", range(1, MOST + 1))
def test_each_leaf_is_in_its_tree_and_in_no_other_place(size):
    root = merkle.root(NODE, size)
    for index in range(size):
        leaf, path = NODE(0, index), merkle.inclusion(NODE, index, size)
        assert merkle.root_by(leaf, index, size, path) == root
        assert merkle.root_by(merkle.leaf_hash(b"forged"), index, size, path) != root
        for other in (index - 1, index + 1, size):
            assert merkle.root_by(leaf, other, size, path) != root
        assert merkle.root_by(leaf, index, size, [*path, root]) is None
        assert not path or merkle.root_by(leaf, index, size, path[1:]) != root
        assert len(path) <= merkle.LONGEST_PROOF


@pytest.mark.parametrize("size", range(1, MOST + 1))
def test_each_older_tree_is_the_beginning_and_no_other_is(size):
    root = merkle.root(NODE, size)
    for older in range(1, size + 1):
        before, path = merkle.root(NODE, older), merkle.consistency(NODE, older, size)
        assert merkle.is_beginning(older, before, size, root, path)
        assert not merkle.is_beginning(older, merkle.EMPTY, size, root, path)
        assert not merkle.is_beginning(older, before, size, merkle.EMPTY, path)
        assert not merkle.is_beginning(older, before, size, root, [*path, root])
        assert not path or not merkle.is_beginning(older, before, size, root, path[:-1])
        assert not merkle.is_beginning(size + 1, root, size, root, path)
    assert not merkle.is_beginning(0, merkle.EMPTY, size, root, [])
